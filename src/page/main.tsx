/** The page: of a server, or of a report if it holds one. */
import { render } from "preact";
import type { ReportData } from "../page-data/index.ts";
import { App } from "./app.tsx";
import { SourceContext } from "./hooks.ts";
import { liveSource } from "./live-source.ts";
import { REPORT_ELEMENT, reportSource } from "./report-source.ts";

const held = document.getElementById(REPORT_ELEMENT)?.textContent;
const source = held ? reportSource(JSON.parse(held) as ReportData) : liveSource();
const page = document.getElementById("page");
if (page !== null) {
  page.replaceChildren();
  render(
    <SourceContext.Provider value={source}>
      <App />
    </SourceContext.Provider>,
    page,
  );
}
