/* A program for musl, without start files: its own calls mean musl's functions, whatever is put in front of them.
 *
 * The kernel's newer statx spares mpp-host these calls on most kernels; the oldest have none. Written to standard output:
 * "right", or the name of what was wrong. tests/tests/media_libc.rs compiles it, and runs it with libmppshim.so.
 */
typedef unsigned int u32;
typedef unsigned long long u64;

int open(const char *path, int flags, ...);
/* As musl has them on 32-bit ARM: 64 bits of offset, and 104 bytes of struct stat. */
void *mmap(void *address, u32 bytes, int protection, int flags, int file, u64 offset);
int stat(const char *path, void *to);
int fstat(int file, void *to);
int lstat(const char *path, void *to);
char *getenv(const char *name);
int chdir(const char *path);
int memcmp(const void *a, const void *b, u32 bytes);
u32 strlen(const char *text);
int write(int file, const void *bytes, u32 count);
void _exit(int status) __attribute__((noreturn));

/* musl's: the mode at 16, the size at 48. Larger than any. */
static u64 status[32];

static int is_musls(void)
{
    u64 size = status[6];
    status[6] = 0;
    return ((u32 *)status)[4] == 0100640 && size == 8192;
}

static void end(const char *word)
{
    write(1, word, strlen(word));
    _exit(0);
}

void started(void)
{
    chdir(getenv("TRAPS"));
    int file = open("pages", 0);
    void *second = mmap(0, 4096, 1, 1, file, 4096);
    if (second == (void *)-1 || memcmp(second, "the second page", 15))
        end("mmap");
    if (stat("pages", status) || !is_musls())
        end("stat");
    if (fstat(file, status) || !is_musls())
        end("fstat");
    if (lstat("pages", status) || !is_musls())
        end("lstat");
    end("right");
}

__asm__(".text\n.arm\n.globl _start\n.type _start, %function\n_start:\n\tbic sp, sp, #7\n\tbl started\n");
