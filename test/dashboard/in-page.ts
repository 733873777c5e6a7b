/** What a person does, done within the page: each is called there, and gives the milliseconds until it is drawn. */

/** A click on the first element that the selector finds, and whose text begins with `text`. */
export async function clicked({ selector, text = "" }: { selector: string; text?: string }): Promise<number> {
  const found = [...document.querySelectorAll<HTMLElement>(selector)];
  const target = found.find((each) => each.textContent?.startsWith(text));
  if (target === undefined) throw new Error(`no ${selector} of ${text}`);
  const begin = performance.now();
  target.click();
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - begin;
}

/** Another text in a field; `event` is what the page hears of it. */
export async function entered({
  selector,
  event,
  text,
}: Record<"selector" | "event" | "text", string>): Promise<number> {
  const input = document.querySelector<HTMLInputElement>(selector);
  if (input === null) throw new Error(`no ${selector}`);
  const begin = performance.now();
  input.value = text;
  input.dispatchEvent(new Event(event, { bubbles: true }));
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - begin;
}

export async function scrolled(): Promise<number> {
  const scroller = document.querySelector(".scroller");
  const begin = performance.now();
  scroller?.scrollBy(0, 60_000);
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))));
  return performance.now() - begin;
}
