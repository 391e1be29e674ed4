#!/usr/bin/env bun
// Why: what a package manager links as `nexus`.
import { runProcess } from "../src/main.ts";

await runProcess("nexus");
