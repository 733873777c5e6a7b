/** A trained model as files that others read: weights as safetensors, everything else as JSON. No TensorFlow is needed to write it. */
export { type ExportOptions, exportModel } from "./export.ts";
export { checkModelFolder, modelFiles, modelSource, modelVersions } from "./files.ts";
