/** The 5 x 7 dot letters of character displays for ASCII 32 to 126: a byte a column, five a letter, the lowest bit on top. */
const DOTS = Buffer.from(
  [
    "000000000000005f00000007000700147f147f14242a7f2a12231308646236495620500000070000001c2241000041221c00",
    "2a1c7f1c2a08083e080800806000000808080808000060600020100804023e5149453e00427f400072494949462141494d33",
    "1814127f1027454545393c4a49493141211109073649494936464949291e0000140000004034000000081422411414141414",
    "004122140802015909063e415d594e7c1211127c7f494949363e414141227f4141413e7f494949417f090909013e41415173",
    "7f0808087f00417f41002040413f017f081422417f404040407f021c027f7f0408107f3e4141413e7f090909063e4151215e",
    "7f09192946264949493203017f01033f4040403f1f2040201f3f4038403f631408146303047804036159494d43007f414141",
    "0204081020004141417f04020102044040404040000304000020545478407f284444383844444428384444287f3854545418",
    "00087e090218a4a49c787f0804047800447d40002040403d007f1028440000417f40007c047804787c080404783844444438",
    "fc1824241818242418fc7c08040408485454542404043f44243c4040207c1c2040201c3c4030403c44281028444c9090907c",
    "4464544c440008364100000077000000413608000201020402",
  ].join(""),
  "hex",
);

const FIRST = 32;
const LAST = 126;
const COLUMNS = 5;
/** One row below the line for g, j, p, q, y. */
export const LETTER_HEIGHT = 8;
/** From one letter to the next. */
export const LETTER_WIDTH = COLUMNS + 1;

/** Width of a text in pixels, without the gap behind it. */
export function textWidth(text: string): number {
  return Math.max(0, text.length * LETTER_WIDTH - 1);
}

/** Shortened with dots at its end to at most `width` pixels. */
export function fitText(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  const room = Math.floor((width + 1) / LETTER_WIDTH);
  return room <= 3 ? text.slice(0, Math.max(0, room)) : `${text.slice(0, room - 3)}...`;
}

/** Calls `dot` with every dot of a text, from its upper left corner; what isn't ASCII becomes a question mark. */
export function eachDot(text: string, dot: (x: number, y: number) => void): void {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const glyph = (code < FIRST || code > LAST ? "?".charCodeAt(0) : code) - FIRST;
    for (let column = 0; column < COLUMNS; column++) {
      const dots = DOTS[glyph * COLUMNS + column] ?? 0;
      for (let row = 0; row < LETTER_HEIGHT; row++) {
        if ((dots >> row) & 1) dot(at * LETTER_WIDTH + column, row);
      }
    }
  }
}
