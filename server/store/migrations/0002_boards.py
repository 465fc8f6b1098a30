"""Boards of items: collections, workflows, fields and values, comments, clients, webhooks."""

from peewee import Database

from server.store.ddl import create

SCHEMA = """
    CREATE TABLE item_collection (
        id VARCHAR(36) NOT NULL PRIMARY KEY,
        workspace_id INTEGER NOT NULL,
        name VARCHAR(255) NOT NULL,
        settings TEXT NOT NULL,
        accounts TEXT NOT NULL,
        predefined_accounts TEXT NOT NULL,
        cost_centers TEXT NOT NULL,
        projects TEXT NOT NULL,
        currencies TEXT NOT NULL,
        voucher_series TEXT NOT NULL,
        created_at TIMESTAMP NOT NULL,
        updated_at TIMESTAMP NOT NULL
    );
    CREATE INDEX item_collection_workspace_id ON item_collection (workspace_id);
    CREATE TABLE item_workflow (
        id VARCHAR(36) NOT NULL PRIMARY KEY,
        workspace_id INTEGER NOT NULL,
        collection_id VARCHAR(36) NOT NULL,
        name VARCHAR(255) NOT NULL,
        classification VARCHAR(32) NOT NULL,
        created_at TIMESTAMP NOT NULL,
        updated_at TIMESTAMP NOT NULL
    );
    CREATE INDEX item_workflow_workspace_id ON item_workflow (workspace_id);
    CREATE INDEX item_workflow_collection_id ON item_workflow (collection_id);
    CREATE TABLE item_column (
        id VARCHAR(36) NOT NULL PRIMARY KEY,
        workspace_id INTEGER NOT NULL,
        workflow_id VARCHAR(36) NOT NULL,
        name VARCHAR(255) NOT NULL,
        type VARCHAR(32) NOT NULL,
        settings TEXT NOT NULL,
        "index" INTEGER NOT NULL,
        created_at TIMESTAMP NOT NULL,
        updated_at TIMESTAMP NOT NULL
    );
    CREATE INDEX item_column_workspace_id ON item_column (workspace_id);
    CREATE INDEX item_column_workflow_id ON item_column (workflow_id);
    CREATE TABLE item (
        id VARCHAR(36) NOT NULL PRIMARY KEY,
        workspace_id INTEGER NOT NULL,
        collection_id VARCHAR(36) NOT NULL,
        column_id VARCHAR(36) NOT NULL,
        name VARCHAR(255) NOT NULL,
        error TEXT,
        state VARCHAR(64) NOT NULL,
        document_type VARCHAR(64),
        user_id INTEGER,
        locked_by_user_id INTEGER,
        original_file_id VARCHAR(36),
        original_file_type VARCHAR(255),
        interpretations INTEGER NOT NULL,
        deleted BOOLEAN NOT NULL,
        page_count INTEGER NOT NULL,
        comment_count INTEGER NOT NULL,
        status_messages TEXT NOT NULL,
        accountings TEXT NOT NULL,
        created_at TIMESTAMP NOT NULL,
        updated_at TIMESTAMP NOT NULL
    );
    CREATE INDEX item_original_file_id ON item (original_file_id) WHERE original_file_id IS NOT NULL;
    CREATE INDEX item_waiting ON item (original_file_type, created_at, id)
        WHERE state IN ('uploaded', 'interpreting')
            AND original_file_id IS NOT NULL AND locked_by_user_id IS NULL AND NOT deleted;
    CREATE INDEX item_workspace_id_deleted_created_at_id ON item (workspace_id, deleted, created_at, id);
    CREATE INDEX item_column_id_deleted_created_at_id ON item (column_id, deleted, created_at, id);
    CREATE INDEX item_collection_id_deleted_created_at_id ON item (collection_id, deleted, created_at, id);
    CREATE TABLE item_field_type (
        id VARCHAR(36) NOT NULL PRIMARY KEY,
        workspace_id INTEGER NOT NULL,
        name VARCHAR(255) NOT NULL,
        formatter TEXT,
        validator TEXT,
        created_at TIMESTAMP NOT NULL,
        updated_at TIMESTAMP NOT NULL
    );
    CREATE INDEX item_field_type_workspace_id ON item_field_type (workspace_id);
    CREATE TABLE item_field (
        id VARCHAR(36) NOT NULL PRIMARY KEY,
        workspace_id INTEGER NOT NULL,
        workflow_id VARCHAR(36) NOT NULL,
        field_type_id VARCHAR(36) NOT NULL,
        name VARCHAR(255) NOT NULL,
        shared BOOLEAN NOT NULL,
        required BOOLEAN NOT NULL,
        created_at TIMESTAMP NOT NULL
    );
    CREATE INDEX item_field_workspace_id ON item_field (workspace_id);
    CREATE INDEX item_field_workflow_id ON item_field (workflow_id);
    CREATE INDEX item_field_field_type_id ON item_field (field_type_id);
    CREATE TABLE item_value (
        id VARCHAR(36) NOT NULL PRIMARY KEY,
        workspace_id INTEGER NOT NULL,
        item_id VARCHAR(36) NOT NULL,
        field_id VARCHAR(36) NOT NULL,
        column_index INTEGER,
        value TEXT NOT NULL,
        extracted TEXT,
        count INTEGER NOT NULL,
        page_number INTEGER,
        location TEXT,
        valid BOOLEAN NOT NULL,
        algorithm VARCHAR(64),
        confidence DOUBLE PRECISION
    );
    CREATE INDEX item_value_item_id ON item_value (item_id);
    CREATE INDEX item_value_field_id ON item_value (field_id);
    CREATE TABLE item_comment (
        id VARCHAR(36) NOT NULL PRIMARY KEY,
        workspace_id INTEGER NOT NULL,
        item_id VARCHAR(36) NOT NULL,
        user_id INTEGER NOT NULL,
        text TEXT NOT NULL,
        created_at TIMESTAMP NOT NULL
    );
    CREATE INDEX item_comment_item_id_created_at_id ON item_comment (item_id, created_at, id);
    CREATE TABLE client (
        id VARCHAR(36) NOT NULL PRIMARY KEY,
        workspace_id INTEGER NOT NULL,
        user_id INTEGER NOT NULL UNIQUE,
        name VARCHAR(150) NOT NULL,
        secret VARCHAR(64) NOT NULL,
        created_at TIMESTAMP NOT NULL
    );
    CREATE INDEX client_workspace_id ON client (workspace_id);
    CREATE TABLE webhook (
        id VARCHAR(36) NOT NULL PRIMARY KEY,
        workspace_id INTEGER NOT NULL,
        user_id INTEGER NOT NULL,
        room VARCHAR(128) NOT NULL,
        url TEXT NOT NULL,
        events TEXT NOT NULL,
        secret VARCHAR(64) NOT NULL,
        position BIGINT NOT NULL,
        state VARCHAR(16) NOT NULL,
        reason TEXT,
        failures INTEGER NOT NULL,
        failing_since_ms BIGINT,
        next_attempt_ms BIGINT NOT NULL,
        created_at TIMESTAMP NOT NULL
    );
    CREATE INDEX webhook_workspace_id ON webhook (workspace_id);
"""


def up(migrator: object, db: Database) -> None:
    create(db, SCHEMA)
