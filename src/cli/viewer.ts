/** The desktop's own viewer. */
import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Opens a file with the program that the desktop has for it, which lives on by itself. Returns null, or why that can't be: a
 * sentence's beginning.
 */
export async function openWithViewer(file: string, env: NodeJS.ProcessEnv = process.env): Promise<string | null> {
  if (!env.DISPLAY && !env.WAYLAND_DISPLAY)
    return "there is no desktop here (neither DISPLAY nor WAYLAND_DISPLAY is set)";
  const viewer = spawn("xdg-open", [file], { detached: true, stdio: "ignore", env });
  try {
    await once(viewer, "spawn");
  } catch {
    return "xdg-open, which knows the desktop's viewer, is not installed (Debian: sudo apt-get install xdg-utils)";
  }
  viewer.unref();
  return null;
}
