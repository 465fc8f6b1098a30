"""All resources: the one list of route tables that the application serves."""

from server.rest import accounts, endpoints, health, invitations, notifications, projects, records, workspaces

ALL = (
    health.routes,
    accounts.routes,
    workspaces.routes,
    invitations.routes,
    notifications.routes,
    projects.routes,
    endpoints.routes,
    records.routes,
)
