// Why: operations on templates made by REST.
import type { Operation } from "./operation.ts";

const write = { limit: "body" } as const;

export const TEMPLATES = [
  { id: "createTemplate", method: "POST", path: "/api/v1/templates", summary: "Create a template", auth: "admin", served: false, ...write },
  { id: "listTemplates", method: "GET", path: "/api/v1/templates", summary: "Templates of the tenant", auth: "read", served: false },
  { id: "getTemplate", method: "GET", path: "/api/v1/templates/{id}", summary: "One template", auth: "read", served: false },
  {
    id: "updateTemplate",
    method: "PUT",
    path: "/api/v1/templates/{id}",
    summary: "Change the given fields of a template",
    auth: "admin",
    served: false,
    ...write,
  },
  { id: "deleteTemplate", method: "DELETE", path: "/api/v1/templates/{id}", summary: "Delete a template", auth: "admin", served: false },
  {
    id: "previewTemplate",
    method: "POST",
    path: "/api/v1/templates/{id}/preview",
    summary: "Render without sending",
    auth: "read",
    served: false,
    ...write,
  },
] as const satisfies readonly Operation[];
