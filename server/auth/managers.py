"""The permission managers that a client of the database API evaluates, in order, as recorded.

Its web client refuses to draw a page when it meets a name that it does not know, so the list is exactly the
recorded one."""

from typing import Any

TEMPLATE_OPERATIONS = [
    "workspace.read",
    "workspace.list_applications",
    "application.list_integrations",
    "application.list_user_sources",
    "application.user_source.login",
    "database.table.field_rules.read_field_rules",
    "database.list_tables",
    "database.table.list_fields",
    "database.table.list_rows",
    "database.table.list_views",
    "database.table.read_row",
    "database.table.view.read",
    "database.table.view.read_field_options",
    "database.table.view.list_decoration",
    "database.table.view.list_aggregations",
    "database.table.view.read_aggregation",
    "builder.list_pages",
    "builder.page.list_elements",
    "builder.page.list_workflow_actions",
    "builder.page.data_source.dispatch",
    "builder.page.list_data_sources",
    "dashboard.widget.read",
    "dashboard.list_widgets",
    "dashboard.data_source.read",
    "dashboard.list_data_sources",
    "dashboard.data_source.dispatch",
]
ADMIN_OPERATIONS = [
    "workspace.list_invitations",
    "workspace.create_invitation",
    "invitation.read",
    "invitation.update",
    "invitation.delete",
    "workspace.list_workspace_users",
    "workspace.update",
    "workspace.delete",
    "workspace_user.update",
    "workspace_user.delete",
]


def account_permissions(is_staff: bool) -> list[dict[str, Any]]:
    """What a login answers, before a workspace is chosen."""
    return [*common(is_staff), {"name": "member", "permissions": False}]


def workspace_permissions(is_staff: bool, is_admin: bool) -> list[dict[str, Any]]:
    """What a member may do in a workspace."""
    basic = {"admin_only_operations": ADMIN_OPERATIONS, "is_admin": is_admin}
    return [*common(is_staff), {"name": "basic", "permissions": basic}]


def common(is_staff: bool) -> list[dict[str, Any]]:
    template = {"allowed_operations_on_templates": TEMPLATE_OPERATIONS, "workspace_template_ids": []}
    return [
        {"name": "view_ownership", "permissions": {}},
        {"name": "core", "permissions": ["list_workspaces"]},
        {
            "name": "setting_operation",
            "permissions": {"staff_only_operations": [], "always_allowed_operations": ["create_workspace"]},
        },
        {"name": "staff", "permissions": {"staff_only_operations": ["settings.update"], "is_staff": is_staff}},
        {"name": "allow_if_template", "permissions": template},
    ]
