/* mallopt(3), which Swift's Glibc module does not have. */
#ifndef CMALLOC_SHIM_H
#define CMALLOC_SHIM_H

#include <features.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#endif
