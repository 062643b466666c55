/* Makes the file system fail on demand. Loaded before the C library (LD_PRELOAD), it counts every call that changes
 * something under one folder, and at the n-th fails it, cuts it short, or kills the process.
 *
 * With a log, each change is noted, and a file that is replaced or removed is kept under another name beside the
 * log: faults.power takes from it what a power cut would have taken. A line of it:
 * operation, inode, inode of the folder, path, second path, name of what is kept; separated by tabs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode { ONCE, ALL, FULL, SHORT, SHORT_THEN_FULL, KILL };
enum verdict { GO, FAIL, HALVE };

static char folder[PATH_MAX]; /* empty while nothing is counted */
static size_t folder_length;
static long until, count;
static int error;
static enum mode how;
static char struck[2 * PATH_MAX + 64];
static char log_path[PATH_MAX / 2];
static int log_file = -1;
static long kept;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Called by the process that is to suffer, once it has imported all that it needs. */

void faults_arm(const char *path, long n, int number, int mode, const char *log) {
    until = n, error = number, how = mode;
    if (*log) {
        snprintf(log_path, sizeof log_path, "%s", log);
        log_file = REAL(open64)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    }
    snprintf(folder, sizeof folder, "%s", path);
    folder_length = strlen(folder);
}

const char *faults_struck(void) { return struck; } /* the first call that was; empty if none */

long faults_count(void) { return count; }

/* Which calls count, and what becomes of them. */

static int inside(const char *path) {
    return folder_length && !strncmp(path, folder, folder_length) &&
           (path[folder_length] == '/' || !path[folder_length]);
}

static int needs_space(const char *operation) { return strcmp(operation, "unlink") && strcmp(operation, "rmdir"); }

static enum verdict judge(const char *operation, const char *path) {
    enum verdict verdict = GO;
    int cuts = how == SHORT || how == SHORT_THEN_FULL;
    pthread_mutex_lock(&lock);
    if (cuts ? !strcmp(operation, "write") : how != FULL || needs_space(operation))
        if (++count == until) {
            if (how == KILL)
                kill(getpid(), SIGKILL);
            verdict = cuts ? HALVE : FAIL;
        }
    if (until && count > until && (how == ALL || ((how == FULL || how == SHORT_THEN_FULL) && needs_space(operation))))
        verdict = FAIL;
    if (verdict != GO && !*struck)
        snprintf(struck, sizeof struck, "%s %s", operation, path);
    pthread_mutex_unlock(&lock);
    if (verdict == FAIL)
        errno = error;
    return verdict;
}

static unsigned long inode_of(const char *path) {
    struct stat found;
    return lstat(path, &found) ? 0 : found.st_ino;
}

static unsigned long folder_of(const char *path) {
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    return inode_of(dirname(copy));
}

static void note(const char *operation, const char *path, const char *second, long grave) {
    char line[3 * PATH_MAX];
    if (log_file < 0)
        return;
    const char *last = *second ? second : path;
    int length = snprintf(line, sizeof line, "%s\t%lu\t%lu\t%s\t%s\t%ld\n", operation, inode_of(last), folder_of(last),
                          path, second, grave);
    if (REAL(write)(log_file, line, length) != length)
        abort();
}

/* Give what is about to go another name; return its number, or zero if there is nothing. */
static long keep(const char *path) {
    char name[PATH_MAX];
    struct stat found;
    if (log_file < 0 || lstat(path, &found) || !S_ISREG(found.st_mode))
        return 0;
    long number = __sync_add_and_fetch(&kept, 1);
    snprintf(name, sizeof name, "%s.%ld", log_path, number);
    if (REAL(link)(path, name))
        abort();
    return number;
}

/* Calls with a descriptor. */

static int watched(int descriptor, char *path) {
    char link[64];
    if (!folder_length)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return inside(path);
}

/* Return how many of `size` may be written; -1 if none. */
static ssize_t allowed(int descriptor, size_t size) {
    char path[PATH_MAX];
    if (!watched(descriptor, path))
        return size;
    enum verdict verdict = judge("write", path);
    if (verdict == FAIL)
        return -1;
    note("write", path, "", 0);
    return verdict == HALVE && size > 1 ? size / 2 : size;
}

ssize_t write(int descriptor, const void *bytes, size_t size) {
    ssize_t most = allowed(descriptor, size);
    return most < 0 ? -1 : REAL(write)(descriptor, bytes, most);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t size, off64_t offset) {
    ssize_t most = allowed(descriptor, size);
    return most < 0 ? -1 : REAL(pwrite64)(descriptor, bytes, most, offset);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t size, off_t offset) {
    return pwrite64(descriptor, bytes, size, offset);
}

ssize_t writev(int descriptor, const struct iovec *parts, int number) {
    ssize_t most = allowed(descriptor, number);
    return most < 0 ? -1 : REAL(writev)(descriptor, parts, most);
}

int ftruncate64(int descriptor, off64_t size) { return allowed(descriptor, 1) < 0 ? -1 : REAL(ftruncate64)(descriptor, size); }

int ftruncate(int descriptor, off_t size) { return ftruncate64(descriptor, size); }

/* As on Linux: once fsync has failed the data are gone, and the next fsync says that all is well. */
static void lose(const char *path) {
    static const char zeros[65536];
    struct stat found;
    if (lstat(path, &found) || !S_ISREG(found.st_mode))
        return;
    int file = REAL(open64)(path, O_WRONLY | O_CLOEXEC);
    for (off_t rest = found.st_size; file >= 0 && rest > 0; rest -= sizeof zeros)
        if (REAL(write)(file, zeros, rest < (off_t)sizeof zeros ? (size_t)rest : sizeof zeros) < 0)
            abort();
    if (file >= 0)
        close(file);
}

static int sync_fails(int descriptor) {
    char path[PATH_MAX];
    if (!watched(descriptor, path))
        return 0;
    if (judge("fsync", path) == FAIL) {
        lose(path);
        errno = error;
        return 1;
    }
    note("fsync", path, "", 0);
    return 0;
}

int fsync(int descriptor) { return sync_fails(descriptor) ? -1 : REAL(fsync)(descriptor); }

int fdatasync(int descriptor) { return sync_fails(descriptor) ? -1 : REAL(fdatasync)(descriptor); }

/* Copies inside the kernel are refused, as many file systems do: who asks falls back on calls that are counted. */

ssize_t sendfile64(int to, int from, off64_t *offset, size_t size) {
    char path[PATH_MAX];
    ssize_t (*real)(int, int, off64_t *, size_t) = dlsym(RTLD_NEXT, "sendfile64");
    errno = EINVAL;
    return watched(to, path) ? -1 : real(to, from, offset, size);
}

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *offset, size_t size, unsigned flags) {
    char path[PATH_MAX];
    errno = EXDEV;
    return watched(to, path) ? -1 : REAL(copy_file_range)(from, at, to, offset, size, flags);
}

/* Calls with paths. */

static void absolute(int at, const char *path, char *out) {
    char link[64] = "/proc/self/cwd";
    ssize_t length = 0;
    if (*path != '/') {
        if (at != AT_FDCWD)
            snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        length = readlink(link, out, PATH_MAX - 2);
        out[length < 0 ? length = 0 : length] = '/';
        length++;
    }
    snprintf(out + length, PATH_MAX - length, "%s", path);
}

static int opened(int at, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    absolute(at, name, path);
    if (!inside(path) || !(flags & (O_CREAT | O_TRUNC)))
        return REAL(openat64)(at, name, flags, mode);
    if (judge("open", path) == FAIL)
        return -1;
    int is_new = !inode_of(path);
    int descriptor = REAL(openat64)(at, name, flags, mode);
    if (descriptor >= 0 && (is_new || flags & O_TRUNC))
        note(is_new ? "create" : "write", path, "", 0);
    return descriptor;
}

#define OPEN(at, name, flags)                                                                                         \
    va_list rest;                                                                                                     \
    va_start(rest, flags);                                                                                            \
    mode_t mode = (flags) & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                         \
    va_end(rest);                                                                                                     \
    return opened(at, name, flags, mode);

int open(const char *name, int flags, ...) { OPEN(AT_FDCWD, name, flags) }
int open64(const char *name, int flags, ...) { OPEN(AT_FDCWD, name, flags) }
int openat(int at, const char *name, int flags, ...) { OPEN(at, name, flags) }
int openat64(int at, const char *name, int flags, ...) { OPEN(at, name, flags) }
int creat(const char *name, mode_t mode) { return opened(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *name, mode_t mode) { return creat(name, mode); }

/* Judge a change of names, carry it out, and note it if it succeeded; `gone` is the path whose file goes with it. */
#define CHANGE(operation, path, second, gone, call)                                                                   \
    if (!inside(path) && !inside(second))                                                                             \
        return call;                                                                                                  \
    if (judge(operation, *(second) ? (second) : (path)) == FAIL)                                                      \
        return -1;                                                                                                    \
    long grave = keep(gone);                                                                                          \
    int result = call;                                                                                                \
    if (!result)                                                                                                      \
        note(operation, path, second, grave);                                                                         \
    return result;

#define CHANGE_ONE(operation, at, name, gone, call)                                                                   \
    char path[PATH_MAX];                                                                                              \
    absolute(at, name, path);                                                                                         \
    CHANGE(operation, path, "", gone, call)

#define CHANGE_TWO(operation, at, name, to_at, to, gone, call)                                                        \
    char path[PATH_MAX], second[PATH_MAX];                                                                            \
    absolute(at, name, path);                                                                                         \
    absolute(to_at, to, second);                                                                                      \
    CHANGE(operation, path, second, gone, call)

int mkdirat(int at, const char *name, mode_t mode) {
    char existing[PATH_MAX];
    absolute(at, name, existing);
    if (inode_of(existing)) /* answered without a look at the disk's space */
        return REAL(mkdirat)(at, name, mode);
    CHANGE_ONE("mkdir", at, name, "", REAL(mkdirat)(at, name, mode))
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

int unlinkat(int at, const char *name, int flags) {
    CHANGE_ONE(flags & AT_REMOVEDIR ? "rmdir" : "unlink", at, name, path, REAL(unlinkat)(at, name, flags))
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }

int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int truncate64(const char *name, off64_t size) { CHANGE_ONE("write", AT_FDCWD, name, "", REAL(truncate64)(name, size)) }

int symlink(const char *target, const char *name) {
    CHANGE_ONE("create", AT_FDCWD, name, "", REAL(symlink)(target, name))
}

int renameat2(int at, const char *name, int to_at, const char *to, unsigned flags) {
    CHANGE_TWO("rename", at, name, to_at, to, second, REAL(renameat2)(at, name, to_at, to, flags))
}

int renameat(int at, const char *name, int to_at, const char *to) { return renameat2(at, name, to_at, to, 0); }

int rename(const char *name, const char *to) { return renameat2(AT_FDCWD, name, AT_FDCWD, to, 0); }

int linkat(int at, const char *name, int to_at, const char *to, int flags) {
    CHANGE_TWO("link", at, name, to_at, to, "", REAL(linkat)(at, name, to_at, to, flags))
}

int link(const char *name, const char *to) { return linkat(AT_FDCWD, name, AT_FDCWD, to, 0); }
