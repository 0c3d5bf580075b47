#define CHAINRULE_LEVEL x86_64_v3
#define CHAINRULE_NAME "x86-64-v3"
#define CHAINRULE_BYTES 32
#include "level.inl"
