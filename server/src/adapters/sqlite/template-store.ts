// Why: templates made by REST, in the file. It must never answer one tenant with another's.
import type { Database } from "bun:sqlite";
import type { TemplateSettings } from "@nexus/protocol/bundle.ts";
import type { StoredTemplate, TemplateStore } from "../../core/record-ports.ts";
import type { GroupCommit } from "./group-commit.ts";

type Row = {
  readonly name: string;
  readonly description: string | null;
  readonly settings: string;
  readonly created_at: number;
  readonly updated_at: number;
};

export class SqliteTemplateStore implements TemplateStore {
  readonly #commit: GroupCommit;
  readonly #sql: ReturnType<typeof statements>;

  constructor(db: Database, commit: GroupCommit) {
    this.#commit = commit;
    this.#sql = statements(db);
  }

  get: TemplateStore["get"] = (tenant, id) =>
    this.#commit.read(() => {
      const row = this.#sql.get.get(tenant, id);
      return row ? templateOf(row) : undefined;
    });

  list: TemplateStore["list"] = (tenant) => this.#commit.read(() => this.#sql.list.all(tenant).map(templateOf));

  create: TemplateStore["create"] = (tenant, template, limit) =>
    this.#commit.write(() => {
      if (this.#sql.get.get(tenant, template.settings.template_id)) return "exists";
      if ((this.#sql.count.get(tenant)?.count ?? 0) >= limit) return "limit";
      this.#put(tenant, template);
      return "created";
    });

  replace: TemplateStore["replace"] = (tenant, template, expectedUpdatedAt) =>
    this.#commit.write(() => {
      const stored = this.#sql.get.get(tenant, template.settings.template_id);
      if (!stored) return "missing";
      if (stored.updated_at !== expectedUpdatedAt) return "changed";
      this.#put(tenant, template);
      return "replaced";
    });

  delete: TemplateStore["delete"] = (tenant, id) => this.#commit.write(() => this.#sql.delete.run(tenant, id).changes > 0);

  #put(tenant: string, { settings, name, description, createdAt, updatedAt }: StoredTemplate): void {
    this.#sql.put.run(tenant, settings.template_id, name, description ?? null, JSON.stringify(settings), createdAt, updatedAt);
  }
}

function templateOf(row: Row): StoredTemplate {
  return {
    name: row.name,
    description: row.description ?? undefined,
    settings: JSON.parse(row.settings) as TemplateSettings, // what `put` wrote
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

function statements(db: Database) {
  const columns = "name, description, settings, created_at, updated_at";
  return {
    get: db.query<Row, [string, string]>(`SELECT ${columns} FROM templates WHERE tenant = ?1 AND id = ?2`),
    list: db.query<Row, [string]>(`SELECT ${columns} FROM templates WHERE tenant = ?1 ORDER BY id`),
    count: db.query<{ count: number }, [string]>("SELECT count(*) AS count FROM templates WHERE tenant = ?1"),
    put: db.query<unknown, [string, string, string, string | null, string, number, number]>(
      `INSERT OR REPLACE INTO templates (tenant, id, name, description, settings, created_at, updated_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`,
    ),
    delete: db.query<unknown, [string, string]>("DELETE FROM templates WHERE tenant = ?1 AND id = ?2"),
  };
}
