// The eager context of this process.
#pragma once

#include "tensorflow/c/eager/c_api.h"

namespace distmis {

// Null before the binding has made it.
TFE_Context* Context();

}  // namespace distmis
