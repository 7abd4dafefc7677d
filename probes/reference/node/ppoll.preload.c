// Preloaded into bfdd: it calls ppoll with a zero timeout until a timer's next whole millisecond comes, which takes most of a core
// in a lab of many routers. A zero timeout becomes a millisecond, far below the 50 ms of its shortest timer.
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask) {
  struct timespec wait = {0, 1000000};
  if (timeout && (timeout->tv_sec || timeout->tv_nsec)) wait = *timeout;  // the system call writes to its argument
  return syscall(SYS_ppoll, fds, count, timeout ? &wait : NULL, mask, _NSIG / 8);
}
