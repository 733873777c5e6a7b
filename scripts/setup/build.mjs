// What is made from the sources of a checkout: the protocol's code, and dist/.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { inCheckout, python, root, venv } from "./places.mjs";
import { run } from "./run.mjs";
import { filesBelow, hashFiles, hashMade, readStamp, sha256 } from "./stamps.mjs";

/** The protocol's TypeScript and Python. */
export function generatedCode() {
  if (!inCheckout) return null;
  const protoDir = path.join(root, "proto");
  const protos = filesBelow(protoDir, [".proto"]);
  const typescript = path.join(root, "src", "generated");
  const pythonOut = path.join(root, "python_shim", "distmis_shim", "generated");
  const generator = path.join(root, "node_modules", "ts-proto", "package.json");
  return {
    title: "generated code",
    stamp: path.join(typescript, ".distmis-stamp"),
    inputs: sha256(
      hashFiles([...protos, fileURLToPath(import.meta.url), generator]),
      readStamp(path.join(venv, ".distmis-stamp")),
    ),
    // Python leaves its own files beside them.
    made: () => hashMade([typescript, pythonOut], [".ts", ".py", ".pyi"]),
    make: () => {
      for (const dir of [typescript, pythonOut]) {
        fs.rmSync(dir, { recursive: true, force: true });
        fs.mkdirSync(dir, { recursive: true });
      }
      const names = protos.map((file) => path.relative(protoDir, file));
      const protoc = ["-m", "grpc_tools.protoc", "-I", protoDir];
      const plugin = path.join(root, "node_modules", ".bin", "protoc-gen-ts_proto");
      const choices = [
        "esModuleInterop=true",
        "env=node",
        "oneof=unions-value",
        "outputServices=grpc-js",
        "importSuffix=.ts",
      ];
      choices.push(
        "exportCommonSymbols=false",
        "outputJsonMethods=false",
        "outputPartialMethods=false",
        "forceLong=number",
      );
      run(python, [
        ...protoc,
        `--plugin=protoc-gen-ts_proto=${plugin}`,
        `--ts_proto_out=${typescript}`,
        `--ts_proto_opt=${choices.join(",")}`,
        ...names,
      ]);
      const service = names.filter((name) => name.startsWith("distmis") && /(cluster|study)\.proto$/.test(name));
      run(python, [
        ...protoc,
        `--python_out=${pythonOut}`,
        `--pyi_out=${pythonOut}`,
        `--grpc_python_out=${pythonOut}`,
        ...service,
      ]);
    },
  };
}

export function compiledSources() {
  if (!inCheckout) return null;
  const sources = filesBelow(path.join(root, "src"), [".ts", ".tsx", ".css", ".html"]);
  const page = path.join(root, "scripts", "build-page.mjs");
  const licences = filesBelow(path.join(root, "scripts", "licences"), [".mjs", ".txt"]);
  const config = [path.join(root, "tsconfig.json"), path.join(root, "tsconfig.build.json"), page, ...licences];
  return {
    title: "build",
    stamp: path.join(root, "dist", ".distmis-stamp"),
    inputs: hashFiles([...sources, ...config]),
    made: () => hashMade([path.join(root, "dist")]),
    make: () => {
      fs.rmSync(path.join(root, "dist"), { recursive: true, force: true });
      run(process.execPath, [path.join(root, "node_modules", "typescript", "bin", "tsc"), "-p", "tsconfig.build.json"]);
      run(process.execPath, [page]);
    },
  };
}
