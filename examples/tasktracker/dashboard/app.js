// Topics, proposals and events, live. All addresses are the gateway's own: /api, /ws.
const RELEASE = "__RELEASE__";
const TOPICS = "knowledge,messages,proposals,noise_filtering";
const PROPOSALS = "/api/v1/knowledge/proposals";
const at = (id) => document.getElementById(id);

async function call(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  };
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}

function item(title, small, fresh) {
  const li = document.createElement("li");
  li.append(title);
  const line = document.createElement("small");
  line.textContent = small;
  li.append(line);
  if (fresh) li.className = "new";
  return li;
}

function fill(list, items, empty) {
  const nothing = document.createElement("li");
  nothing.className = "empty";
  nothing.textContent = empty;
  at(list).replaceChildren(...(items.length ? items : [nothing]));
}

const when = (time) => `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC`;

async function showTopics(fresh) {
  const topics = await call("/api/v1/topics?limit=20");
  at("count").textContent = `newest ${topics.length}`;
  fill("topics", topics.map((one) => item(one.name, one.description || when(one.created_at),
    one.external_id === fresh)), "No topics yet.");
}

function decision(id, verb, label) {
  const button = document.createElement("button");
  button.textContent = label;
  button.onclick = () => attempt(() => call(`${PROPOSALS}/${id}/${verb}`, {}).then(showProposals));
  return button;
}

async function showProposals() {
  if (RELEASE.startsWith("1.0.")) return;
  const answer = await fetch(`${PROPOSALS}?status=pending&limit=5`);
  at("proposals-panel").hidden = !answer.ok; // 403 while the flag is off
  if (!answer.ok) return;
  const { items } = await answer.json();
  at("approve-all").hidden = !items.length;
  at("approve-all").onclick = () => attempt(() =>
    call(`${PROPOSALS}/batch/approve`, { proposal_ids: items.map((one) => one.id) }).then(showProposals));
  fill("proposals", items.map((one) => {
    const li = item(one.title, `${one.entity_type}, confidence ${one.confidence.toFixed(2)}`);
    const actions = document.createElement("div");
    actions.className = "actions";
    actions.append(decision(one.id, "approve", "Approve"), decision(one.id, "reject", "Reject"));
    li.append(actions);
    return li;
  }), "None waits for a review.");
}

async function attempt(work) {
  try {
    await work();
    at("problem").hidden = true;
  } catch (error) {
    at("problem").textContent = `That did not work: ${error.message}. Try again.`;
    at("problem").hidden = false;
  }
}

// Many events in a row ask for the list once, not once each.
const soon = {};
function later(work) {
  clearTimeout(soon[work.name]);
  soon[work.name] = setTimeout(() => attempt(work), 300);
}

let newest;
function showNewTopic() {
  return showTopics(newest);
}

function heard({ topic, event, data }) {
  if (topic === "system") return;
  at("events").querySelector(".empty")?.remove();
  at("events").prepend(item(`${topic}: ${event}`, data.title || data.external_id || when(Date.now()), true));
  while (at("events").children.length > 12) at("events").lastChild.remove();
  if (event === "topic_created") {
    newest = data.external_id;
    later(showNewTopic);
  }
  if (topic === "proposals") later(showProposals);
}

function state(text, kind) {
  at("line").textContent = text;
  at("line").className = `pill ${kind}`;
}

// A release closes sockets with 1012: come back at once, then ever more slowly, half a minute at most.
let tries = 0;
function connect() {
  const address = new URL(`/ws?topics=${TOPICS}`, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(address);
  const ping = setInterval(() => socket.readyState === WebSocket.OPEN && socket.send("ping"), 25000);
  socket.onopen = () => {
    tries = 0;
    state("live", "live");
    attempt(() => Promise.all([showTopics(), showProposals()])); // what was missed while away
  };
  socket.onmessage = (message) => heard(JSON.parse(message.data));
  socket.onclose = () => {
    clearInterval(ping);
    const wait = Math.min(30000, 500 * 2 ** tries++) * (0.5 + Math.random() / 2);
    state(`reconnecting in ${Math.ceil(wait / 1000)} s`, "lost");
    setTimeout(connect, wait);
  };
}

at("new").onsubmit = (event) => {
  event.preventDefault();
  attempt(async () => {
    await call("/api/v1/topics", { external_id: `web-${Date.now()}-${Math.random().toString(36).slice(2, 10)}`,
      name: at("name").value });
    at("name").value = "";
  });
};
attempt(showTopics);
connect();
