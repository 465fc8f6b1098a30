"""The first schema: the log, sessions, leases, accounts, databases, files."""

from peewee import Database, PostgresqlDatabase

from server.store.ddl import create

SCHEMA = """
    CREATE TABLE event (
        id {logid},
        type VARCHAR(64) NOT NULL,
        rooms TEXT NOT NULL,
        payload {bytes} NOT NULL,
        origin_user INTEGER,
        origin_socket VARCHAR(255),
        created_ms BIGINT NOT NULL
    );
    CREATE TABLE event_room (
        room VARCHAR(128) NOT NULL,
        event_id BIGINT NOT NULL,
        PRIMARY KEY (room, event_id)
    ){clustered};
    CREATE TABLE session (
        pid VARCHAR(43) PRIMARY KEY,
        sid VARCHAR(32) NOT NULL,
        namespace VARCHAR(32) NOT NULL,
        user_id INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        began BIGINT NOT NULL,
        state TEXT NOT NULL,
        seen_ms BIGINT NOT NULL
    );
    CREATE INDEX session_user_id ON session (user_id, seen_ms);
    CREATE INDEX session_seen_ms ON session (seen_ms);
    CREATE TABLE lease (
        name VARCHAR(64) PRIMARY KEY,
        holder VARCHAR(64) NOT NULL,
        expires_ms BIGINT NOT NULL
    );
    CREATE TABLE account (
        id {id},
        email VARCHAR(254) UNIQUE,
        first_name VARCHAR(150) NOT NULL,
        password VARCHAR(255) NOT NULL,
        is_staff BOOLEAN NOT NULL,
        is_active BOOLEAN NOT NULL,
        language VARCHAR(10) NOT NULL,
        email_notification_frequency VARCHAR(20) NOT NULL,
        email_verified BOOLEAN NOT NULL,
        completed_onboarding BOOLEAN NOT NULL,
        completed_guided_tours TEXT NOT NULL,
        tokens_valid_from BIGINT NOT NULL,
        to_be_deleted BOOLEAN NOT NULL,
        created_at TIMESTAMP NOT NULL
    );
    CREATE TABLE refused_token (
        id {id},
        jti VARCHAR(64) NOT NULL UNIQUE,
        expires_at BIGINT NOT NULL
    );
    CREATE INDEX refused_token_expires_at ON refused_token (expires_at);
    CREATE TABLE workspace (
        id {id},
        uuid VARCHAR(36) NOT NULL UNIQUE,
        name VARCHAR(165) NOT NULL,
        trashed BOOLEAN NOT NULL,
        created_at TIMESTAMP NOT NULL,
        updated_at TIMESTAMP NOT NULL
    );
    CREATE TABLE membership (
        id {id},
        workspace_id INTEGER NOT NULL,
        user_id INTEGER NOT NULL,
        permissions VARCHAR(20) NOT NULL,
        "order" INTEGER NOT NULL,
        began BIGINT NOT NULL,
        created_at TIMESTAMP NOT NULL
    );
    CREATE INDEX membership_user_id ON membership (user_id);
    CREATE UNIQUE INDEX membership_workspace_id_user_id ON membership (workspace_id, user_id);
    CREATE TABLE workspace_invitation (
        id {id},
        workspace_id INTEGER NOT NULL,
        email VARCHAR(254) NOT NULL,
        permissions VARCHAR(20) NOT NULL,
        message TEXT NOT NULL,
        invited_by_id INTEGER NOT NULL,
        created_at TIMESTAMP NOT NULL,
        updated_at TIMESTAMP NOT NULL
    );
    CREATE INDEX workspace_invitation_email ON workspace_invitation (email);
    CREATE UNIQUE INDEX workspace_invitation_workspace_id_email ON workspace_invitation (workspace_id, email);
    CREATE TABLE user_notification (
        id {id},
        user_id INTEGER NOT NULL,
        workspace_id INTEGER,
        type VARCHAR(64) NOT NULL,
        sender_id INTEGER,
        data TEXT NOT NULL,
        read BOOLEAN NOT NULL,
        created_at TIMESTAMP NOT NULL
    );
    CREATE INDEX user_notification_user_id ON user_notification (user_id);
    CREATE TABLE application (
        id {id},
        workspace_id INTEGER NOT NULL,
        name VARCHAR(160) NOT NULL,
        type VARCHAR(32) NOT NULL,
        "order" INTEGER NOT NULL,
        trashed BOOLEAN NOT NULL,
        created_at TIMESTAMP NOT NULL
    );
    CREATE INDEX application_workspace_id ON application (workspace_id);
    CREATE TABLE user_table (
        id {id},
        database_id INTEGER NOT NULL,
        workspace_id INTEGER NOT NULL,
        name VARCHAR(255) NOT NULL,
        "order" INTEGER NOT NULL,
        version INTEGER NOT NULL,
        trashed BOOLEAN NOT NULL,
        created_at TIMESTAMP NOT NULL
    );
    CREATE INDEX user_table_database_id ON user_table (database_id);
    CREATE INDEX user_table_workspace_id ON user_table (workspace_id);
    CREATE TABLE table_field (
        id {id},
        table_id INTEGER NOT NULL,
        name VARCHAR(255) NOT NULL,
        type VARCHAR(32) NOT NULL,
        "order" INTEGER NOT NULL,
        "primary" BOOLEAN NOT NULL,
        description TEXT,
        options TEXT NOT NULL,
        trashed BOOLEAN NOT NULL
    );
    CREATE INDEX table_field_table_id ON table_field (table_id);
    CREATE TABLE table_view (
        id {id},
        table_id INTEGER NOT NULL,
        name VARCHAR(255) NOT NULL,
        type VARCHAR(32) NOT NULL,
        "order" INTEGER NOT NULL,
        owned_by_id INTEGER NOT NULL,
        slug VARCHAR(64) NOT NULL UNIQUE,
        options TEXT NOT NULL
    );
    CREATE INDEX table_view_table_id ON table_view (table_id);
    CREATE TABLE row_history (
        id {id},
        table_id INTEGER NOT NULL,
        row_id INTEGER NOT NULL,
        action_type VARCHAR(32) NOT NULL,
        user_id INTEGER,
        user_name VARCHAR(150) NOT NULL,
        before TEXT NOT NULL,
        after TEXT NOT NULL,
        fields_metadata TEXT NOT NULL,
        created_at TIMESTAMP NOT NULL
    );
    CREATE INDEX row_history_table_id_row_id_id ON row_history (table_id, row_id, id);
    CREATE TABLE job (
        id {id},
        user_id INTEGER NOT NULL,
        type VARCHAR(32) NOT NULL,
        state VARCHAR(16) NOT NULL,
        progress_percentage INTEGER NOT NULL,
        human_readable_error TEXT NOT NULL,
        data TEXT NOT NULL,
        created_at TIMESTAMP NOT NULL
    );
    CREATE INDEX job_user_id ON job (user_id);
    CREATE TABLE stored_file (
        id VARCHAR(36) NOT NULL PRIMARY KEY,
        key VARCHAR(32) NOT NULL UNIQUE,
        name VARCHAR(255) NOT NULL,
        content_type VARCHAR(255) NOT NULL,
        size BIGINT NOT NULL,
        expires_ms BIGINT,
        created_at TIMESTAMP NOT NULL
    );
    CREATE INDEX stored_file_expires_ms ON stored_file (expires_ms) WHERE expires_ms IS NOT NULL;
"""


# Gives events their ids and stores them in one round trip: the workspace and the log stay locked until the commit, so
# every trip less is more changes a second. A statement of a function sees what was committed before it began, so the
# ids are read after the lock was won.
APPEND = """
    CREATE FUNCTION append_events(
        types TEXT[], rooms TEXT[], payloads BYTEA[], users INTEGER[], sockets TEXT[], created BIGINT, log_lock BIGINT
    ) RETURNS BIGINT LANGUAGE plpgsql AS $$
    DECLARE
        last BIGINT;
    BEGIN
        PERFORM pg_advisory_xact_lock(log_lock);
        SELECT coalesce(max(id), 0) INTO last FROM event;
        INSERT INTO event (id, type, rooms, payload, origin_user, origin_socket, created_ms)
            SELECT last + n, t, r, p, u, s, created
            FROM unnest(types, rooms, payloads, users, sockets) WITH ORDINALITY AS e (t, r, p, u, s, n);
        INSERT INTO event_room (room, event_id)
            SELECT room, last + n
            FROM unnest(rooms) WITH ORDINALITY AS e (r, n), unnest(string_to_array(r, ' ')) AS room;
        RETURN last + 1;
    END $$
"""


def up(migrator: object, db: Database) -> None:
    create(db, SCHEMA)
    if isinstance(db, PostgresqlDatabase):
        db.execute_sql(APPEND)
