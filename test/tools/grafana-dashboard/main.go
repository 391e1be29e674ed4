// Package main says what Grafana's own library makes of a dashboard: one dashboard a line comes in as JSON, one verdict a line
// goes out. Fields nobody knows, fields that are missing, wrong types and values out of bounds are refused by that library;
// units, which are any text to it, are looked up in its list. It must never judge by itself.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// Units that dashboards of Nexus use, by the names the library gives them.
var known = map[string]bool{
	units.Short: true, units.NoUnit: true, units.PercentUnit: true, units.Seconds: true, units.BytesIEC: true,
	units.MessagesPerSecond: true, units.RequestsPerSecond: true, units.CountsPerSecond: true,
}

type verdict struct {
	Error string `json:"error"`
}

func main() {
	plugins.RegisterDefaultPlugins()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		answer := verdict{}
		if err := judge(lines.Bytes()); err != nil {
			answer.Error = err.Error()
		}
		if err := answers.Encode(answer); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func judge(raw []byte) error {
	read := dashboard.Dashboard{}
	if err := read.UnmarshalJSONStrict(raw); err != nil {
		return err
	}
	if err := read.Validate(); err != nil {
		return err
	}
	for _, one := range read.Panels {
		panels := []dashboard.Panel{}
		if one.Panel != nil {
			panels = append(panels, *one.Panel)
		}
		if one.RowPanel != nil {
			panels = append(panels, one.RowPanel.Panels...)
		}
		for _, panel := range panels {
			if panel.FieldConfig == nil || panel.FieldConfig.Defaults.Unit == nil {
				return fmt.Errorf("panel %q has no unit", *panel.Title)
			}
			if unit := *panel.FieldConfig.Defaults.Unit; !known[unit] {
				return fmt.Errorf("panel %q has the unit %q", *panel.Title, unit)
			}
		}
	}
	return nil
}
