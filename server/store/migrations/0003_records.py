"""Records of endpoints, and the users of their projects."""

from peewee import Database

from server.store.ddl import create

SCHEMA = """
    CREATE TABLE record_project (
        id {id},
        workspace_id INTEGER NOT NULL,
        name VARCHAR(254) NOT NULL,
        key VARCHAR(32) NOT NULL UNIQUE,
        master_key VARCHAR(64) NOT NULL UNIQUE,
        origins TEXT NOT NULL,
        deny_no_origin BOOLEAN NOT NULL,
        created_at TIMESTAMP NOT NULL
    );
    CREATE INDEX record_project_workspace_id ON record_project (workspace_id);
    CREATE TABLE record_endpoint (
        id {id},
        project_id INTEGER NOT NULL,
        name VARCHAR(254) NOT NULL UNIQUE,
        description TEXT NOT NULL,
        authentication BOOLEAN NOT NULL,
        secure BOOLEAN NOT NULL,
        access TEXT NOT NULL,
        opened BIGINT NOT NULL,
        created_at TIMESTAMP NOT NULL
    );
    CREATE INDEX record_endpoint_project_id ON record_endpoint (project_id);
    CREATE TABLE record (
        id {bigid},
        endpoint_id INTEGER NOT NULL,
        unique_id VARCHAR(32) NOT NULL UNIQUE,
        data TEXT NOT NULL,
        file_id VARCHAR(36),
        created_at VARCHAR(24) NOT NULL,
        updated_at VARCHAR(24) NOT NULL,
        owner_id BIGINT
    );
    CREATE INDEX record_endpoint_id_id ON record (endpoint_id, id);
    CREATE INDEX record_endpoint_id_owner_id_id ON record (endpoint_id, owner_id, id) WHERE owner_id IS NOT NULL;
    CREATE TABLE record_user (
        record_id BIGINT NOT NULL PRIMARY KEY,
        endpoint_id INTEGER NOT NULL,
        password VARCHAR(255) NOT NULL
    );
    CREATE INDEX record_user_endpoint_id ON record_user (endpoint_id);
    CREATE TABLE record_login (
        id {bigid},
        endpoint_id INTEGER NOT NULL,
        name VARCHAR(254) NOT NULL,
        user_id BIGINT NOT NULL
    );
    CREATE UNIQUE INDEX record_login_endpoint_id_name ON record_login (endpoint_id, name);
    CREATE INDEX record_login_user_id ON record_login (user_id);
    CREATE TABLE record_session (
        jti VARCHAR(64) NOT NULL PRIMARY KEY,
        user_id BIGINT NOT NULL,
        project_id INTEGER NOT NULL,
        expires_at BIGINT NOT NULL
    );
    CREATE INDEX record_session_user_id ON record_session (user_id);
    CREATE INDEX record_session_expires_at ON record_session (expires_at);
"""


def up(migrator: object, db: Database) -> None:
    create(db, SCHEMA)
