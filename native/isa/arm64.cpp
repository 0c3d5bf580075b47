#define CHAINRULE_LEVEL arm64
#define CHAINRULE_NAME "arm64"
#define CHAINRULE_BYTES 16
#include "level.inl"
