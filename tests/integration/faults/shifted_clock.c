// Preloaded into a process, it makes the wall clock wrong by as many seconds as a file holds (eight
// bytes, signed, in the machine's order), at any moment; steady clocks are left alone. Compiled by the
// tests that use it.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t* shift_s;

__attribute__((constructor)) static void open_file(void) {
  const char* path = getenv("SHIFTED_CLOCK_FILE");
  const int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return;
  }
  void* found = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
  shift_s = found == MAP_FAILED ? NULL : found;
  close(file);
}

static int64_t shift(void) { return shift_s == NULL ? 0 : *shift_s; }

int clock_gettime(clockid_t clock, struct timespec* now) {
  const int result = (int)syscall(SYS_clock_gettime, clock, now);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    now->tv_sec += shift();
  }
  return result;
}

int gettimeofday(struct timeval* now, void* zone) {
  (void)zone;
  struct timespec precise;
  const int result = clock_gettime(CLOCK_REALTIME, &precise);
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return result;
}

time_t time(time_t* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) {
    *out = now.tv_sec;
  }
  return now.tv_sec;
}
