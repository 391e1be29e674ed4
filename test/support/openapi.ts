// Why: tests ask whether an answer of the real server is what the document promises. The judge is a JSON Schema validator
// nobody here wrote, reading the document itself. It must never look at the tables the document was made from.
import Ajv2020 from "ajv/dist/2020";
import addFormats from "ajv-formats";

type ResponseObject = {
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
  readonly headers?: Readonly<Record<string, { readonly $ref: string }>>;
};
type OperationObject = {
  readonly operationId: string;
  readonly parameters?: readonly object[];
  readonly responses: Readonly<Record<string, ResponseObject>>;
};
/** The parts of an OpenAPI document tests read. */
export type Document = {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationObject>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>>; readonly headers: Readonly<Record<string, object>> };
};

export type Answered = { readonly method: string; readonly path: string; readonly response: Response };

export type Contract = {
  /** What is wrong with an answer to `method path` (a path of the document, with its braces); empty when nothing is. Reads the body. */
  problemsOf(answered: Answered): Promise<readonly string[]>;
};

export function contractOf(document: Document): Contract {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats(ajv);
  ajv.addSchema(document, "document");
  const pointer = (...parts: readonly string[]) =>
    parts.map((part) => encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"))).join("/");

  return {
    async problemsOf({ method, path, response }) {
      const verb = method.toLowerCase();
      const status = String(response.status);
      const promised = document.paths[path]?.[verb]?.responses[status];
      if (!promised) return [`${method} ${path} answered ${status}, which the document does not list`];
      const text = await response.text();
      const lacking = Object.keys(promised.headers ?? {}).filter((name) => isRequired(document, name) && !response.headers.has(name));
      const problems = lacking.map((name) => `header ${name} is missing`);
      const type = response.headers.get("content-type");
      if (!promised.content) return text === "" && type === null ? problems : [...problems, `a body where none is promised: ${type}`];
      if (type === null || !(type in promised.content)) return [...problems, `content type ${type} is not promised`];
      const validate = ajv.getSchema(`document#/${pointer("paths", path, verb, "responses", status, "content", type, "schema")}`);
      if (!validate) return [...problems, "the schema cannot be read"];
      if (validate(JSON.parse(text))) return problems;
      return [...problems, ...(validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)];
    },
  };
}

const isRequired = (document: Document, header: string): boolean => {
  const found = document.components.headers[header];
  return found !== undefined && "required" in found && found.required === true;
};
