/* A library that steps into what vendors' libraries step into when they run with another C library than theirs.
 *
 * It imports the functions that they import, by the names and with the structures of uClibc 0.9.32 (or, with OLD_GLIBC, of
 * glibc 2.11), written down here since no header of this machine has them. HI_MPI_SYS_GetVersion tries each and says in the
 * version which of them did other than they should; mpp-host, which does not know that version, shows it to its client.
 * tests/tests/media_libc.rs compiles it, with stub libraries whose names it asks for.
 */
typedef unsigned int u32;

/* The C library, as the vendor's headers had it. */
extern struct FILE *stderr;
int open(const char *path, int flags, ...);
int close(int file);
struct FILE *fopen(const char *path, const char *mode);
u32 fread(void *to, u32 bytes, u32 count, struct FILE *file);
int fseek(struct FILE *file, long offset, int from);
int fclose(struct FILE *file);
int fprintf(struct FILE *file, const char *format, ...);
int snprintf(char *to, u32 bytes, const char *format, ...);
char *getenv(const char *name);
void *memset(void *to, int byte, u32 bytes);
int memcmp(const void *a, const void *b, u32 bytes);
u32 strlen(const char *text);
char *strerror(int error);
int *__errno_location(void);
/* The two words behind the offset are what a vendor's stack holds there: where a 64-bit offset is looked for, it is 1. */
void *mmap(void *address, u32 bytes, int protection, int flags, int file, u32 offset, u32 next, u32 after);
int munmap(void *address, u32 bytes);
int _setjmp(void *to);
void longjmp(void *to, int value) __attribute__((noreturn));
int gettimeofday(void *to, void *zone);
int nanosleep(const void *wanted, void *left);
int usleep(u32 micros);
int pthread_create(u32 *thread, const void *attributes, void *(*run)(void *), void *argument);
int pthread_join(u32 thread, void **result);
int pthread_mutex_init(void *mutex, const void *attributes);
int pthread_mutex_lock(void *mutex);
int pthread_mutex_unlock(void *mutex);
int pthread_mutex_destroy(void *mutex);
int pthread_cond_init(void *condition, const void *attributes);
int pthread_cond_wait(void *condition, void *mutex);
int pthread_cond_signal(void *condition);
int pthread_cond_destroy(void *condition);
int sem_init(void *semaphore, int shared, u32 value);
int sem_post(void *semaphore);
int sem_wait(void *semaphore);
int sem_trywait(void *semaphore);
int sem_getvalue(void *semaphore, int *value);
int sem_destroy(void *semaphore);
/* As newer compilers' start files refer to them: they may be missing. */
extern void __register_frame_info(const void *, void *) __attribute__((weak));
extern void __deregister_frame_info(const void *) __attribute__((weak));
#ifdef OLD_GLIBC
int __xstat(int version, const char *path, void *to);
int __isoc99_sscanf(const char *text, const char *format, ...);
#define stat(path, to) __xstat(3, path, to)
#define sscanf __isoc99_sscanf
#else
int stat(const char *path, void *to);
int sscanf(const char *text, const char *format, ...);
#endif
#ifdef UCLIBC_TABLES
extern const unsigned short *__ctype_b;
extern const short *__ctype_toupper;
#endif

#define READ 1
#define SHARED 1
#define ANONYMOUS_PRIVATE 0x22
#define LARGE_FILE 0400000
#define FAILED ((void *)-1)

/* Room of a structure's exact size, and behind it bytes that nobody may change. */
#define ROOM(name, bytes) struct { unsigned char of[bytes]; unsigned char behind[64]; } name \
    __attribute__((aligned(8))); memset(&name, 0, sizeof name); memset(name.behind, 0xA5, sizeof name.behind)
#define WHOLE(name) is_whole(name.behind, sizeof name.behind)

static int is_whole(const unsigned char *behind, u32 bytes)
{
    for (u32 at = 0; at < bytes; at++)
        if (behind[at] != 0xA5)
            return 0;
    return 1;
}

static u32 word(const unsigned char *of, u32 at)
{
    return of[at] | of[at + 1] << 8 | of[at + 2] << 16 | (u32)of[at + 3] << 24;
}

/* A file in the folder that the test made. */
static const char *file(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", getenv("TRAPS"), name);
    return path;
}

/* The bytes that a file has at an offset, as mmap shows them. */
static int shows(const char *name, u32 offset, const char *bytes)
{
    int opened = open(file(name), LARGE_FILE);
    void *at = mmap(0, 4096, READ, SHARED, opened, offset, 1, 0);
    int right = at != FAILED && !memcmp(at, bytes, strlen(bytes));
    if (at != FAILED)
        munmap(at, 4096);
    close(opened);
    return right;
}

static int trap_mmap(void) { return shows("pages", 4096, "the second page"); }

/* Media memory lies this high; as a signed number it is negative. */
static int trap_far(void) { return shows("far", 0x84000000, "far up"); }

static int trap_anonymous(void)
{
    unsigned char *at = mmap(0, 4096, READ, ANONYMOUS_PRIVATE, -1, 0, 1, 0);
    return at != FAILED && at[0] == 0 && munmap(at, 4096) == 0;
}

static int trap_stat(void)
{
    ROOM(status, 88);
    if (stat(file("pages"), status.of) != 0 || !WHOLE(status))
        return 0;
    return word(status.of, 16) == 0100640 && word(status.of, 44) == 8192 && word(status.of, 64) == 1000000000;
}

/* A size that does not fit is refused, and nothing is said. */
static int trap_large(void)
{
    ROOM(status, 88);
    return stat(file("far"), status.of) == -1 && *__errno_location() == 75 && WHOLE(status);
}

static int trap_stdio(void)
{
    char found[8] = {0};
    int number = 0;
    char letter = 0;
    struct FILE *opened = fopen(file("pages"), "r");
    if (!opened || fseek(opened, 4100, 0) != 0 || fread(found, 1, 6, opened) != 6 || fclose(opened) != 0)
        return 0;
    return !memcmp(found, "second", 6) && sscanf("x41z", "x%d%c", &number, &letter) == 2 && number == 41
        && letter == 'z' && fprintf(stderr, "%s %d\n", "traps:", number) == 10 && strlen(strerror(2)) > 0;
}

static int trap_setjmp(void)
{
    ROOM(place, 272);
    volatile int turns = 0;
    int value = _setjmp(place.of);
    turns = turns + 1;
    if (value == 0)
        longjmp(place.of, 7);
    return value == 7 && turns == 2 && WHOLE(place);
}

static int trap_time(void)
{
    ROOM(now, 8);
    ROOM(wanted, 8);
    ROOM(left, 8);
    if (gettimeofday(now.of, 0) != 0 || !WHOLE(now) || word(now.of, 0) < 1600000000 || word(now.of, 4) >= 1000000)
        return 0;
    wanted.of[4] = 1;
    return nanosleep(wanted.of, left.of) == 0 && WHOLE(wanted) && WHOLE(left) && usleep(1) == 0;
}

static struct shared {
    unsigned char mutex[24], behind_mutex[8];
    unsigned char condition[48] __attribute__((aligned(8)));
    unsigned char behind_condition[8];
    unsigned char semaphore[16], behind_semaphore[8];
    int told;
} shared;

static void *other_thread(void *argument)
{
    struct shared *with = argument;
    sem_wait(with->semaphore);
    pthread_mutex_lock(with->mutex);
    with->told = 1;
    pthread_cond_signal(with->condition);
    pthread_mutex_unlock(with->mutex);
    return &shared.told;
}

static int trap_threads(void)
{
    u32 thread;
    int value = -1;
    void *result = 0;
    memset(shared.behind_mutex, 0xA5, 8);
    memset(shared.behind_condition, 0xA5, 8);
    memset(shared.behind_semaphore, 0xA5, 8);
    if (pthread_mutex_init(shared.mutex, 0) || pthread_cond_init(shared.condition, 0)
        || sem_init(shared.semaphore, 0, 2) || sem_getvalue(shared.semaphore, &value) || value != 2
        || sem_trywait(shared.semaphore) || sem_trywait(shared.semaphore) || sem_trywait(shared.semaphore) != -1
        || *__errno_location() != 11 || pthread_create(&thread, 0, other_thread, &shared))
        return 0;
    pthread_mutex_lock(shared.mutex);
    sem_post(shared.semaphore);
    while (!shared.told)
        pthread_cond_wait(shared.condition, shared.mutex);
    pthread_mutex_unlock(shared.mutex);
    pthread_join(thread, &result);
    return result == &shared.told && !pthread_cond_destroy(shared.condition)
        && !pthread_mutex_destroy(shared.mutex) && !sem_destroy(shared.semaphore)
        && is_whole(shared.behind_mutex, 8) && is_whole(shared.behind_condition, 8)
        && is_whole(shared.behind_semaphore, 8);
}

static int trap_frames(void)
{
    /* Whoever imports these calls them only when they are there. */
    return !__register_frame_info == !__deregister_frame_info;
}

static int trap_tables(void)
{
#ifdef UCLIBC_TABLES
    return __ctype_b['a'] == 0x8D6 && __ctype_b[-1] == 0 && __ctype_toupper['b'] == 'B';
#else
    return 1;
#endif
}

int HI_MPI_SYS_GetVersion(char *version)
{
    static const struct { const char *name; int (*step)(void); } traps[] = {
        {"mmap", trap_mmap}, {"far", trap_far}, {"anonymous", trap_anonymous}, {"stat", trap_stat},
        {"large", trap_large}, {"stdio", trap_stdio}, {"setjmp", trap_setjmp}, {"time", trap_time},
        {"threads", trap_threads}, {"frames", trap_frames}, {"tables", trap_tables},
    };
    u32 at = snprintf(version, 64, "traps:");
    u32 clean = at;
    for (u32 trap = 0; trap < sizeof traps / sizeof traps[0]; trap++)
        if (!traps[trap].step())
            at += snprintf(version + at, 64 - at, " %s", traps[trap].name);
    if (at == clean)
        snprintf(version, 64, "traps: none");
    return 0;
}
