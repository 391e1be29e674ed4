#!/usr/bin/env bun
// Why: kubectl runs a program named kubectl-nexus for `kubectl nexus`; this is what a package manager links under that name.
import { runProcess } from "../src/main.ts";

await runProcess("kubectl nexus");
