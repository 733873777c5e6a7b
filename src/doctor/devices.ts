/** TensorFlow, and the GPUs that it should see. */
import { messageOf } from "../errors/index.ts";
import { loadTensorFlow } from "../tensorflow/index.ts";
import { type Finding, finding, output } from "./finding.ts";

export function tensorflow(): Finding[] {
  try {
    const { version, devices } = loadTensorFlow();
    const gpus = devices.filter((device) => device.type === "GPU").length;
    const names = devices.map((device) => device.name.replace(/^.*device:/, "")).join(", ");
    const oneDnn = process.env.TF_ENABLE_ONEDNN_OPTS;
    return [
      finding("TensorFlow", version, {
        differs: "run `distmis setup` of the same distmis on all nodes: versions of TensorFlow differ in their results",
      }),
      finding("Devices", `${names}${gpus === 0 ? " (no GPU)" : ""}`),
      finding("oneDNN", oneDnn === "1" ? "on" : `TF_ENABLE_ONEDNN_OPTS is ${oneDnn}`, {
        remedy:
          oneDnn === "1"
            ? null
            : "unset TF_ENABLE_ONEDNN_OPTS: training on CPUs takes several times as long without oneDNN",
      }),
    ];
  } catch (error) {
    return [finding("TensorFlow", messageOf(error), { remedy: "run `distmis setup`" })];
  }
}

/** Why TensorFlow may see no GPU where nvidia-smi lists some. */
export function unseenGpus(environment: NodeJS.ProcessEnv): string {
  const { CUDA_VISIBLE_DEVICES: visible, LD_LIBRARY_PATH: libraries } = environment;
  if (visible !== undefined && (visible === "" || visible === "-1")) {
    return `CUDA_VISIBLE_DEVICES is "${visible}", which hides them`;
  }
  // It comes before the RUNPATH by which TensorFlow's wheel finds its own libraries.
  const foreign = libraries?.split(":").find((dir) => /cuda|cudnn|nvidia/i.test(dir));
  const wheel = "TensorFlow does not see them: install its CUDA wheel with `distmis setup --cuda`";
  return foreign ? `${wheel}, and unload the module that puts ${foreign} into LD_LIBRARY_PATH` : wheel;
}

export async function nvidia(): Promise<Finding[]> {
  const answer = await output("nvidia-smi", ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]);
  if (answer === null) {
    const found = "none (nvidia-smi not found or without an answer); logical GPUs can be asked for with --gpus";
    return [finding("NVIDIA GPUs", found, { likeness: "none" })];
  }
  const names = answer.split("\n");
  const found = `${names.length}: ${names[0]}`;
  const cuda = /CUDA Version: *([\d.]+)/.exec((await output("nvidia-smi", [])) ?? "")?.[1];
  const driver = finding("CUDA of the driver", cuda ?? "nvidia-smi does not say it");
  try {
    const seen = loadTensorFlow().devices.some((device) => device.type === "GPU");
    return [finding("NVIDIA GPUs", found, { remedy: seen ? null : unseenGpus(process.env) }), driver];
  } catch {
    // The finding on TensorFlow itself says why.
    return [finding("NVIDIA GPUs", found, { remedy: "run `distmis setup --cuda`" }), driver];
  }
}
