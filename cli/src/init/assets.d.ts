// Why: example files that are imported as text (`with { type: "text" }`).
declare module "*.yaml" {
  const text: string;
  // biome-ignore lint/style/noDefaultExport: how a text import arrives
  export default text;
}
