"""1.0.0: topics, atoms, messages, flags and jobs."""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE topics (
    id serial PRIMARY KEY,
    external_id varchar(128) NOT NULL UNIQUE,
    name varchar(200) NOT NULL,
    description text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE atoms (
    id serial PRIMARY KEY,
    external_id varchar(128) NOT NULL UNIQUE,
    topic_id integer REFERENCES topics (id) ON DELETE SET NULL,
    kind varchar(32) NOT NULL,
    title varchar(200) NOT NULL,
    content text NOT NULL,
    embedding vector(64),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_atom_embedding ON atoms USING hnsw (embedding vector_cosine_ops);
CREATE TABLE messages (
    id serial PRIMARY KEY,
    external_id varchar(128) NOT NULL UNIQUE,
    topic_id integer REFERENCES topics (id) ON DELETE SET NULL,
    author varchar(100) NOT NULL,
    content text NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT now(),
    importance_score double precision,
    embedding vector(64),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE feature_flags (
    name varchar(64) PRIMARY KEY,
    enabled boolean NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE message_ingestion_job (
    id serial PRIMARY KEY,
    name varchar(64) NOT NULL,
    status varchar(16) NOT NULL CHECK (status IN ('running', 'done', 'failed')),
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    result jsonb,
    error_log jsonb
);
CREATE INDEX idx_job_name_finished_at ON message_ingestion_job (name, finished_at);
"""


def upgrade() -> None:
    for statement in TABLES.strip().rstrip(";").split(";\n"):
        op.execute(statement)


def downgrade() -> None:
    for table in ("message_ingestion_job", "feature_flags", "messages", "atoms", "topics"):
        op.drop_table(table)
