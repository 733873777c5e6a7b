// What TensorFlow asks while it is loaded, answered without a word.
//
// Its own answer prints "oneDNN custom operations are on" at each start, whatever TF_CPP_MIN_LOG_LEVEL says, as that is read later.
// The loader looks here first, so this one is found instead. The answer is the same: src/tensorflow/runtime.ts has set the variable.
#ifdef __x86_64__
#include <strings.h>

#include <cstdlib>
#include <cstring>

#include "tensorflow/core/util/port.h"

bool tensorflow::IsMklEnabled() {
  const char* wish = std::getenv("TF_ENABLE_ONEDNN_OPTS");
  return wish == nullptr || (std::strcmp(wish, "0") != 0 && strcasecmp(wish, "false") != 0);
}
#endif
