// Why: where each panel lies: rows below each other, panels from left to right, a new line when one does not fit. Pure.
import type { Panel, Row } from "./model.ts";

export type Place = { readonly x: number; readonly y: number; readonly w: number; readonly h: number };

/** A panel's number and place. Numbers count from 1 through the dashboard, so that the same dashboard has the same ones. */
export type Placed = { readonly panel: Panel; readonly id: number; readonly gridPos: Place };
export type PlacedRow = { readonly row: Row; readonly id: number; readonly gridPos: Place; readonly panels: readonly Placed[] };

export const COLUMNS = 24;
const HEIGHT = { timeseries: 8, stat: 4, table: 8, heatmap: 8 } as const satisfies Record<Panel["kind"], number>;

export function placed(rows: readonly Row[]): readonly PlacedRow[] {
  let y = 0;
  let id = 0;
  return rows.map((row) => {
    const gridPos = { x: 0, y, w: COLUMNS, h: 1 };
    const number = ++id;
    let line = { x: 0, y: y + 1, h: 0 };
    const panels = row.panels.map((panel) => {
      const h = panel.height ?? HEIGHT[panel.kind];
      if (line.x + panel.width > COLUMNS) line = { x: 0, y: line.y + line.h, h: 0 };
      const place = { x: line.x, y: line.y, w: panel.width, h };
      line = { x: line.x + panel.width, y: line.y, h: Math.max(line.h, h) };
      return { panel, id: ++id, gridPos: place };
    });
    // A closed row takes one line; what is in it takes its own when it is opened.
    y = row.collapsed ? y + 1 : line.y + line.h;
    return { row, id: number, gridPos, panels };
  });
}
