"""1.1.0: the Knowledge Proposal System, and the two indexes on messages that S1 recommends.

Nothing that 1.0.0 uses is changed, so 1.0.0 runs on this schema: going back needs no downgrade.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

INDEXES = {
    "idx_message_importance_score_sent_at": "messages (importance_score, sent_at DESC)",
    "idx_message_topic_id_sent_at": "messages (topic_id, sent_at) WHERE topic_id IS NULL",
}
COLUMNS = """
    id uuid PRIMARY KEY,
    title varchar(200) NOT NULL,
    content text NOT NULL,
    confidence double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    status varchar(16) NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'rejected', 'expired')),
    similar_entity_id integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    reviewed_at timestamptz,
    reviewed_by varchar(64)"""


def upgrade() -> None:
    # Without a transaction, because CONCURRENTLY wants none: messages stay writable. First, so that a failure here
    # leaves nothing else behind; dropped before, so that the invalid index of a failed try is not taken for done.
    with op.get_context().autocommit_block():
        for name, definition in INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {definition}")
    op.execute("ALTER TABLE messages ADD COLUMN extracted_at timestamptz")
    op.execute(f"CREATE TABLE topic_proposals ({COLUMNS})")
    op.execute(f"CREATE TABLE atom_proposals ({COLUMNS}, topic_id integer)")
    for table in ("topic_proposals", "atom_proposals"):
        op.execute(f"CREATE INDEX idx_{table}_status_created_at ON {table} (status, created_at DESC)")
    op.execute("""CREATE TABLE proposal_reviews (
        id serial PRIMARY KEY,
        proposal_id uuid NOT NULL,
        entity_type varchar(8) NOT NULL,
        action varchar(16) NOT NULL,
        actor varchar(64) NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now())""")


def downgrade() -> None:
    op.drop_table("proposal_reviews")
    op.drop_table("atom_proposals")
    op.drop_table("topic_proposals")
    op.drop_column("messages", "extracted_at")
    with op.get_context().autocommit_block():
        for name in INDEXES:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
