// epoll_pwait2, whose timeouts are finer than milliseconds, is GNU's.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sys/epoll.h>
