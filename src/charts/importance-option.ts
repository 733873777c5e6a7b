/** How much each parameter decides, as ECharts draws it. */
import type { ImportanceView } from "../page-data/index.ts";
import { axisStyle, type Colours } from "./colours.ts";
import { shortNames } from "./format.ts";

type Share = NonNullable<ImportanceView["shares"]>[number];

/** @param shares the largest first */
export function importanceOption(shares: readonly Share[], colours: Colours) {
  const names = shortNames(shares.map(({ parameter }) => parameter));
  return {
    animation: false,
    grid: { left: 190, right: 60, top: 10, bottom: 50 },
    xAxis: {
      type: "value",
      min: 0,
      name: "importance (%)",
      nameLocation: "middle",
      nameGap: 28,
      ...axisStyle(colours),
    },
    yAxis: {
      type: "category",
      inverse: true,
      data: shares.map(({ parameter }) => names.get(parameter) ?? parameter),
      ...axisStyle(colours),
      axisLabel: { color: colours.text, overflow: "truncate", width: 170 },
      splitLine: { show: false },
    },
    series: [
      {
        id: "shares",
        type: "bar",
        barMaxWidth: 18,
        itemStyle: { color: colours.accent },
        label: {
          show: true,
          position: "right",
          color: colours.text,
          formatter: ({ value }: { value: number }) => value.toFixed(1),
        },
        data: shares.map(({ share }) => 100 * share),
      },
    ],
  };
}
