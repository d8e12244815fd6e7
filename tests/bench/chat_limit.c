/* The least a machine can do for chat: a server that sends a frame to every socket, and the load for any server.

   chat_limit server PORT WINDOW                     broadcasts what any WebSocket client says, at once or, with a
                                                     window of milliseconds, all of that time together; says "ready"
   chat_limit front PORT SOCKET                      reads the first head of each connection and hands both over as an
                                                     origin does (appliance/runtime/handoff.py); says "ready"
   chat_limit load PORT COUNT SLOW REQUEST OPENING PUBLISH
                                                     opens COUNT sockets with REQUEST, SLOW of which read nothing,
                                                     and one that publishes; then commands on stdin:
     closed SECONDS PAUSE the next message PAUSE milliseconds after all have the last one
     rate PER_S SECONDS   so many a second
   REQUEST, OPENING and PUBLISH are files: the opening handshake of a reader, that of the publisher (may be empty)
   and a message, in which "@" with 19 digits is replaced with the time in nanoseconds. Every answer is one line of
   JSON. A delivery is counted for each "@" with 19 digits that a socket receives: "lost" are those that some lack,
   "extra" those that some have too many. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MOST 65536
#define DIGITS 19
#define AT_ONCE 1000       /* handshakes under way */
#define HISTOGRAM 100000   /* of 0.1 ms */
#define SECOND 1000000000ull

static char buffer[1 << 18];

static void fail(const char *what) { perror(what); exit(1); }

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + t.tv_nsec;
}

static void set_up(int fd) {
    int one = 1;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static struct sockaddr_in address_of(int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static void watch(int ep, int fd, uint32_t events) {
    struct epoll_event e = {.events = events, .data.fd = fd};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e)) fail("epoll_ctl");
}

/* ---- server */

static const char ACCEPTED[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
static int fds[MOST], place[MOST * 2], count;

static void leave(int fd) {
    int at = place[fd] - 1;
    if (at >= 0) { fds[at] = fds[--count]; place[fds[at]] = at + 1; place[fd] = 0; }
    close(fd);
}

static unsigned char out[1 << 18];
static size_t kept;               /* bytes of out that wait for the end of the window */
static uint64_t window_ns, due;

static void send_all(void) {
    for (int i = 0; i < count; i++)
        if (send(fds[i], out, kept, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN) shutdown(fds[i], 2);
    kept = 0;
}

/* Sends on the first frame of what was received, or keeps it for the end of the window; how long it was. */
static ssize_t broadcast(const unsigned char *frame, ssize_t got) {
    ssize_t length = frame[1] & 127, header = 2;
    if (length == 126) { length = frame[2] << 8 | frame[3]; header = 4; }
    if (got < header + 4 + length || length > 60000) return got;
    if (kept + 4 + length > sizeof out) send_all();
    const unsigned char *mask = frame + header, *payload = mask + 4;
    unsigned char *to = out + kept;
    *to++ = 0x81;
    if (length < 126) *to++ = length; else { *to++ = 126; *to++ = length >> 8; *to++ = length; }
    for (ssize_t i = 0; i < length; i++) *to++ = payload[i] ^ mask[i & 3];
    if (window_ns && !kept) due = now_ns() + window_ns;
    kept = to - out;
    if (!window_ns) send_all();
    return header + 4 + length;
}

static int listens(int port, int ep) {
    struct sockaddr_in a = address_of(port);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&a, sizeof a) || listen(listener, 4096)) fail("listen");
    set_up(listener);
    watch(ep, listener, EPOLLIN);
    puts("ready");
    fflush(stdout);
    return listener;
}

static void server(int port) {
    int ep = epoll_create1(0), listener = listens(port, ep);
    struct epoll_event events[1024];
    for (;;) {
        uint64_t now = kept ? now_ns() : 0;
        if (kept && now >= due) send_all();
        int ready = epoll_wait(ep, events, 1024, kept ? (int)((due - now) / 1000000) + 1 : -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                while ((fd = accept(listener, 0, 0)) >= 0) { set_up(fd); watch(ep, fd, EPOLLIN); }
                continue;
            }
            ssize_t got = recv(fd, buffer, sizeof buffer, 0);
            if (got <= 0) { if (got == 0 || errno != EAGAIN) leave(fd); continue; }
            if (place[fd]) {
                for (ssize_t at = 0; at < got;) at += broadcast((unsigned char *)buffer + at, got - at);
                continue;
            }
            send(fd, ACCEPTED, sizeof ACCEPTED - 1, MSG_NOSIGNAL);
            fds[count] = fd;
            place[fd] = ++count;
        }
    }
}

/* ---- front */

static void hand_over(int way, int fd, ssize_t got) {
    static char told[1 << 14] = "\x09" "127.0.0.1", room[CMSG_SPACE(sizeof(int))];
    if (got > (ssize_t)sizeof told - 10) fail("a long head");
    memcpy(told + 10, buffer, got);
    struct iovec data = {told, got + 10};
    struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    if (sendmsg(way, &m, MSG_NOSIGNAL) < 0) fail("hand over");
    close(fd);
}

static void front(int port, const char *path) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strncpy(a.sun_path, path, sizeof a.sun_path - 1);
    int way = socket(AF_UNIX, SOCK_SEQPACKET, 0), ep = epoll_create1(0), fd;
    if (connect(way, (void *)&a, sizeof a)) fail("connect to the gateway");
    int listener = listens(port, ep);
    struct epoll_event events[1024];
    for (;;) {
        int ready = epoll_wait(ep, events, 1024, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == listener) {
                while ((fd = accept(listener, 0, 0)) >= 0) { set_up(fd); watch(ep, fd, EPOLLIN); }
                continue;
            }
            fd = events[i].data.fd;
            ssize_t got = recv(fd, buffer, sizeof buffer, 0); /* all of it: the load sends it at once */
            if (epoll_ctl(ep, EPOLL_CTL_DEL, fd, 0)) fail("epoll_ctl");
            if (got > 0) hand_over(way, fd, got); else close(fd);
        }
    }
}

/* ---- load */

typedef struct { uint8_t open, newlines, held; uint32_t messages; char digits[DIGITS]; } Reader;

static Reader readers[MOST * 2];
static uint32_t histogram[HISTOGRAM];
static uint64_t deliveries, slowest, last_open;
static int ep, opened, publisher, made[MOST], first, wanted; /* made[first] to made[wanted - 1] are read */
static char *message, *stamp;
static size_t message_size;

static char *contents(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    char *data = calloc(1, 1 << 16);
    *size = fread(data, 1, (1 << 16) - 1, file);
    fclose(file);
    return data;
}

static void delivered(Reader *r, uint64_t now) {
    uint64_t sent = 0;
    for (int i = 0; i < DIGITS; i++) sent = sent * 10 + (r->digits[i] - '0');
    uint64_t took = now > sent ? now - sent : 0, bin = took / 100000;
    histogram[bin < HISTOGRAM ? bin : HISTOGRAM - 1]++;
    if (took > slowest) slowest = took;
    r->held = 0;
    r->messages++;
    deliveries++;
}

static void read_messages(Reader *r, const char *at, const char *end, uint64_t now) {
    while (at < end) {
        if (r->held) {
            if (*at < '0' || *at > '9') { r->held = 0; continue; } /* a byte of a frame's length may be an "@" too */
            r->digits[r->held++ - 1] = *at++;
            if (r->held == DIGITS + 1) delivered(r, now);
            continue;
        }
        at = memchr(at, '@', end - at);
        if (!at) return;
        at++;
        r->held = 1;
    }
}

static void readable(int fd) {
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) { fprintf(stderr, "a connection was ended\n"); exit(1); }
    if (got <= 0 || fd == publisher) return;
    Reader *r = readers + fd;
    const char *at = buffer, *end = buffer + got;
    uint64_t now = now_ns();
    if (!r->open) {
        for (; at < end && r->newlines < 4; at++) r->newlines = *at == "\r\n\r\n"[r->newlines] ? r->newlines + 1 : *at == '\r';
        if (r->newlines < 4) return;
        r->open = 1;
        opened++;
        last_open = now;
    }
    read_messages(r, at, end, now);
}

static void turn(int milliseconds) {
    struct epoll_event events[1024];
    int ready = epoll_wait(ep, events, 1024, milliseconds);
    for (int i = 0; i < ready; i++) readable(events[i].data.fd);
}

static int connected(int port, const char *request, size_t size) {
    struct sockaddr_in a = address_of(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) fail("socket");
    if (connect(fd, (void *)&a, sizeof a)) fail("connect");
    set_up(fd);
    if (size && send(fd, request, size, MSG_NOSIGNAL) != (ssize_t)size) fail("send");
    return fd;
}

static void publish(void) {
    char digits[DIGITS + 1];
    snprintf(digits, sizeof digits, "%019llu", (unsigned long long)now_ns());
    memcpy(stamp, digits, DIGITS);
    if (send(publisher, message, message_size, MSG_NOSIGNAL) != (ssize_t)message_size) fail("publish");
}

static double percentile(double part) {
    uint64_t wanted = deliveries * part, seen = 0;
    for (int i = 0; i < HISTOGRAM; i++)
        if ((seen += histogram[i]) > wanted) return i / 10.0;
    return slowest / 1e6;
}

static void run(double per_s, double pause, double seconds) {
    uint64_t begin = now_ns(), end = begin + seconds * SECOND, sent = 0, limit, lost = 0, extra = 0;
    int count = wanted - first;
    memset(histogram, 0, sizeof histogram);
    for (int i = first; i < wanted; i++) readers[made[i]].messages = 0;
    deliveries = slowest = 0;
    if (per_s > 0)
        for (; now_ns() < end;) {
            uint64_t due = begin + sent / per_s * SECOND, now = now_ns();
            if (now >= due) { publish(); sent++; turn(0); } else turn((due - now) / 1000000);
        }
    else
        for (; now_ns() < end && deliveries == sent * count;) {
            publish();
            sent++;
            for (limit = now_ns() + 10 * SECOND; deliveries < sent * count && now_ns() < limit;) turn(100);
            usleep(pause * 1000);
        }
    uint64_t over = now_ns();
    for (limit = over + 5 * SECOND; deliveries < sent * count && now_ns() < limit;) turn(100);
    for (int i = first; i < wanted; i++) {
        uint64_t had = readers[made[i]].messages;
        if (had < sent) lost += sent - had; else extra += had - sent;
    }
    printf("{\"messages\": %llu, \"deliveries\": %llu, \"lost\": %llu, \"extra\": %llu, \"seconds\": %.3f, "
           "\"p50_ms\": %.1f, \"p99_ms\": %.1f, \"max_ms\": %.1f}\n", (unsigned long long)sent,
           (unsigned long long)deliveries, (unsigned long long)lost, (unsigned long long)extra, (over - begin) / 1e9, percentile(0.5), percentile(0.99), slowest / 1e6);
}

static int load(char **argv) {
    int port = atoi(argv[0]);
    wanted = atoi(argv[1]);
    first = atoi(argv[2]);
    if (wanted > MOST) fail("too many sockets");
    size_t request_size, opening_size;
    char *request = contents(argv[3], &request_size), *opening = contents(argv[4], &opening_size);
    message = contents(argv[5], &message_size);
    stamp = memmem(message, message_size, "@0000", 5);
    if (!stamp++) fail("no @ with digits in the message");
    ep = epoll_create1(0);
    uint64_t begin = now_ns();
    char *key = memmem(request, request_size, "Sec-WebSocket-Key: ", sizeof "Sec-WebSocket-Key: " - 1);
    for (int i = 0; i < wanted; i++) {
        if (key) { /* as browsers do, each has a key of its own */
            char own[12];
            snprintf(own, sizeof own, "%08d", i);
            memcpy(key + sizeof "Sec-WebSocket-Key: " - 1, own, 8);
        }
        made[i] = connected(port, request, request_size);
        watch(ep, made[i], EPOLLIN);
        while (i + 1 - opened >= AT_ONCE) turn(1000);
        if (i % 16 == 0) turn(0);
    }
    while (opened < wanted) turn(1000);
    for (int i = 0; i < first; i++) epoll_ctl(ep, EPOLL_CTL_DEL, made[i], 0);
    publisher = connected(port, opening, opening_size);
    watch(ep, publisher, EPOLLIN);
    for (uint64_t until = now_ns() + SECOND; now_ns() < until;) turn(50);
    printf("{\"open_s\": %.3f}\n", (last_open - begin) / 1e9);
    fflush(stdout);
    double per_s, seconds, pause;
    while (fgets(buffer, 200, stdin)) {
        if (sscanf(buffer, "rate %lf %lf", &per_s, &seconds) == 2) run(per_s, 0, seconds);
        else if (sscanf(buffer, "closed %lf %lf", &seconds, &pause) == 2) run(0, pause, seconds);
        else break;
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (argc == 4 && !strcmp(argv[1], "server")) {
        window_ns = atoi(argv[3]) * (SECOND / 1000);
        server(atoi(argv[2]));
    }
    if (argc == 4 && !strcmp(argv[1], "front")) front(atoi(argv[2]), argv[3]);
    if (argc == 8 && !strcmp(argv[1], "load")) return load(argv + 2);
    fprintf(stderr, "see the comment at the top\n");
    return 2;
}
