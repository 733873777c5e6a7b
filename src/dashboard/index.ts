/** Runs in a browser: a server for a page that is live, and a page of one run that needs no server. */
export { type Figures, writeFigures } from "./figures.ts";
export { type PageReport, writePageReport } from "./report.ts";
export { type Dashboard, type DashboardOptions, serveDashboard } from "./serve-page.ts";
