/** The parts of ECharts that the page draws with; a chunk of its own. */
import { CustomChart, LineChart, ParallelChart } from "echarts/charts";
import { DataZoomComponent, GridComponent, ParallelComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

use([
  CanvasRenderer,
  CustomChart,
  DataZoomComponent,
  GridComponent,
  LineChart,
  ParallelChart,
  ParallelComponent,
  TooltipComponent,
]);

export { init };
