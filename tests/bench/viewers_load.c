/* Low-latency viewers, many in one process: each asks for the multivariant playlist once, then reloads a media
   playlist with a blocking request, asks for every part once, and begins anew, over one connection that it keeps.

   viewers_load PORT CONNECTIONS PER_S   opens so many connections, PER_S in a second
   Standard input has the folder of a rendition on each line, such as /media/ID/source, a space and the path of its
   multivariant playlist, and then an empty line; the connections are dealt out to them in turn. Whose multivariant
   playlist is refused is turned away, and does not come back. Says "on" when all are open, then obeys
     count SECONDS LATE_MS
   and says one line of JSON: what was asked for in that time, and how late parts were. Lateness is what has passed
   since the end of a part by the playlist's dates; spread what has passed since the first viewer was told of it.
   A playlist that another viewer has read already, by the checksum of its gzip, is not read again. */

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
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define MOST 65536
#define RENDITIONS 1024
#define RING 64           /* parts of a rendition whose times are known */
#define HISTOGRAM 200000  /* of 0.1 ms */
#define BEHIND 8          /* parts: who is further behind goes on with the newest */
#define SECOND 1000000000ull
#define FIELDS "Host: nearcast.example\r\nConnection: keep-alive\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) " \
               "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36\r\nAccept: */*\r\n" \
               "Accept-Encoding: gzip\r\nAccept-Language: en\r\n\r\n"

typedef struct {
    char folder[200], multivariant[200];
    uint64_t checksum;     /* of the playlist that was read last */
    int msn, parts;        /* the next part to ask for */
    int over;              /* nothing follows */
    long newest;           /* its newest part's number */
    long serial[RING];
    uint64_t end_us[RING], told_ns[RING];
} Rendition;

typedef struct {
    Rendition *of;
    char *held;            /* an answer that has come in part */
    size_t size;
    size_t left;           /* bytes of the part under way */
    long mine, wanted;     /* the part asked for; the newest it knows of */
    int msn, parts;        /* what it waits for next */
    int in_part, in_body, joins;
} Viewer;

typedef struct { uint32_t bins[HISTOGRAM + 1]; uint64_t count, most; } Times;

static Rendition renditions[RENDITIONS];
static Viewer *viewers[MOST];
static Times lateness, spread;
static uint64_t playlists, parts, bytes, refused, skipped, late, late_us, turned_away;
static char buffer[1 << 18], text[1 << 18];
static int ep, known;

static void fail(const char *what) { perror(what); exit(1); }

static uint64_t clock_ns(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * SECOND + t.tv_nsec;
}

static void note(Times *times, int64_t us) {
    if (us < 0) us = 0;
    times->bins[us / 100 < HISTOGRAM ? us / 100 : HISTOGRAM]++;
    times->count++;
    if ((uint64_t)us > times->most) times->most = us;
}

static double percentile(Times *times, double part) {
    uint64_t wanted = times->count * part, seen = 0;
    for (int i = 0; i < HISTOGRAM; i++)
        if ((seen += times->bins[i]) > wanted) return i / 10.0;
    return times->most / 1e3;
}

/* ---- playlists */

static uint64_t date_us(const char *value) {
    struct tm t = {0};
    double seconds;
    if (sscanf(value, "%d-%d-%dT%d:%d:%lf", &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour, &t.tm_min, &seconds) != 6)
        return 0;
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    return (uint64_t)timegm(&t) * 1000000 + (uint64_t)(seconds * 1e6);
}

static void take_part(Rendition *r, const char *line, uint64_t *at_us) {
    const char *uri = strstr(line, "URI=\"p");
    double duration = 0;
    if (!uri || sscanf(line, "#EXT-X-PART:DURATION=%lf", &duration) != 1) return;
    long serial = atol(uri + 6);
    *at_us += duration * 1e6;
    r->newest = serial;
    int slot = serial % RING;
    if (r->serial[slot] == serial) return;
    r->serial[slot] = serial;
    r->end_us[slot] = *at_us;
    r->told_ns[slot] = clock_ns(CLOCK_MONOTONIC);
}

static void read_playlist(Rendition *r) {
    uint64_t at_us = 0;
    int msn = 0, count = 0;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (!strncmp(line, "#EXT-X-MEDIA-SEQUENCE:", 22)) msn = atoi(line + 22);
        else if (!strncmp(line, "#EXT-X-SKIP:SKIPPED-SEGMENTS=", 29)) msn += atoi(line + 29);
        else if (!strncmp(line, "#EXT-X-PROGRAM-DATE-TIME:", 25)) at_us = date_us(line + 25);
        else if (!strncmp(line, "#EXT-X-PART:", 12)) { take_part(r, line, &at_us); count++; }
        else if (!strncmp(line, "#EXT-X-ENDLIST", 14)) r->over = 1;
        else if (*line && *line != '#') { msn++; count = 0; }
    }
    r->msn = msn;
    r->parts = count;
}

static void inflated(const char *body, size_t size) {
    z_stream z = {.next_in = (void *)body, .avail_in = size, .next_out = (void *)text, .avail_out = sizeof text - 1};
    if (inflateInit2(&z, 31) != Z_OK || inflate(&z, Z_FINISH) != Z_STREAM_END) fail("a playlist is not gzip");
    text[z.total_out] = 0;
    inflateEnd(&z);
}

/* ---- a viewer */

static void ask(int fd, const char *request, int size) {
    if (send(fd, request, size, MSG_NOSIGNAL) != size) fail("send");
}

static void ask_playlist(int fd, int blocking) {
    static char request[1024];
    Viewer *v = viewers[fd];
    int size = blocking ? snprintf(request, sizeof request, "GET %s/index.m3u8?_HLS_msn=%d&_HLS_part=%d&_HLS_skip=YES "
                                   "HTTP/1.1\r\n" FIELDS, v->of->folder, v->msn, v->parts)
                        : snprintf(request, sizeof request, "GET %s/index.m3u8 HTTP/1.1\r\n" FIELDS, v->of->folder);
    v->in_part = 0;
    ask(fd, request, size);
}

static void ask_multivariant(int fd) {
    char request[1024];
    ask(fd, request, snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" FIELDS, viewers[fd]->of->multivariant));
}

static void multivariant_is_there(int fd, int status) {
    Viewer *v = viewers[fd];
    v->joins = 0;
    if (status == 200) { ask_playlist(fd, 0); return; }
    turned_away++;
    close(fd);
    free(v->held);
    free(v);
    viewers[fd] = 0;
}

static void go_on(int fd) {
    static char request[1024];
    Viewer *v = viewers[fd];
    if (v->mine >= v->wanted) {
        if (v->of->over) refused++;
        else ask_playlist(fd, 1);
        return;
    }
    if (v->wanted - v->mine > BEHIND) {
        if (v->mine) skipped += v->wanted - v->mine - 1;
        v->mine = v->wanted - 1;
    }
    v->mine++;
    v->in_part = 1;
    v->in_body = 0;
    ask(fd, request, snprintf(request, sizeof request, "GET %s/p%ld.m4s HTTP/1.1\r\n" FIELDS, v->of->folder, v->mine));
}

static void part_is_there(int fd) {
    Viewer *v = viewers[fd];
    int slot = v->mine % RING;
    parts++;
    if (v->of->serial[slot] == v->mine) {
        int64_t behind_us = (int64_t)(clock_ns(CLOCK_REALTIME) / 1000) - (int64_t)v->of->end_us[slot];
        note(&lateness, behind_us);
        note(&spread, (clock_ns(CLOCK_MONOTONIC) - v->of->told_ns[slot]) / 1000);
        late += behind_us > (int64_t)late_us;
    }
    go_on(fd);
}

static void playlist_is_there(int fd, int status, const char *body, size_t size) {
    Viewer *v = viewers[fd];
    if (status != 200) {
        refused++;
        ask_playlist(fd, 0);
        return;
    }
    playlists++;
    uint64_t checksum;
    memcpy(&checksum, body + size - 8, 8);
    if (checksum != v->of->checksum) {
        inflated(body, size);
        read_playlist(v->of);
        v->of->checksum = checksum;
    }
    v->wanted = v->of->newest;
    v->msn = v->of->msn;
    v->parts = v->of->parts;
    go_on(fd);
}

/* What has come of an answer. Of a part only its head is looked at. */
static void take(int fd, char *data, size_t size) {
    Viewer *v = viewers[fd];
    char *end = memmem(data, size, "\r\n\r\n", 4);
    size_t head = end ? end + 4 - data : 0, length = 0;
    if (end) {
        *end = 0;
        char *field = strcasestr(data, "\r\ncontent-length:");
        *end = '\r';
        if (!field) fail("an answer without its length");
        length = atol(field + 17);
    }
    int status = size > 12 ? atoi(data + 9) : 0;
    if (end && v->in_part && status == 200) {
        bytes += size;
        v->in_body = 1;
        v->left = head + length - size;
    } else if (end && size >= head + length) {
        bytes += size;
        if (v->joins) { multivariant_is_there(fd, status); v = viewers[fd]; }
        else if (v->in_part) { refused++; v->in_part = 0; go_on(fd); }
        else playlist_is_there(fd, status, data + head, length);
    } else {
        if (data != v->held) {
            v->held = malloc(sizeof buffer);
            memcpy(v->held, data, size);
        }
        v->size = size;
        return;
    }
    if (!v) return;
    if (data == v->held) { free(v->held); v->held = 0; v->size = 0; }
    if (v->in_part && v->in_body && !v->left) part_is_there(fd);
}

static void readable(int fd) {
    Viewer *v = viewers[fd];
    int discards = v->in_part && v->in_body;
    char *into = v->held ? v->held + v->size : buffer;
    size_t room = discards && v->left < sizeof buffer ? v->left : sizeof buffer - (v->held ? v->size : 0);
    ssize_t got = recv(fd, into, room, discards ? MSG_TRUNC : 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) { fprintf(stderr, "a connection was ended\n"); exit(1); }
    if (!discards) {
        take(fd, v->held ? v->held : buffer, v->size + got);
        return;
    }
    bytes += got;
    v->left -= got;
    if (!v->left) part_is_there(fd);
}

static void turn(int milliseconds) {
    struct epoll_event events[1024];
    int ready = epoll_wait(ep, events, 1024, milliseconds);
    for (int i = 0; i < ready; i++) readable(events[i].data.fd);
}

static void join(int port, Rendition *of) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || fd >= MOST) fail("socket");
    if (connect(fd, (void *)&a, sizeof a)) fail("connect");
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e)) fail("epoll_ctl");
    viewers[fd] = calloc(1, sizeof(Viewer));
    viewers[fd]->of = of;
    viewers[fd]->joins = 1;
    ask_multivariant(fd);
}

static void count(double seconds) {
    memset(&lateness, 0, sizeof lateness);
    memset(&spread, 0, sizeof spread);
    playlists = parts = bytes = refused = skipped = late = 0;
    uint64_t begin = clock_ns(CLOCK_MONOTONIC), end = begin + seconds * SECOND;
    while (clock_ns(CLOCK_MONOTONIC) < end) turn(50);
    printf("{\"seconds\": %.3f, \"playlists\": %llu, \"parts\": %llu, \"bytes\": %llu, \"refused\": %llu, "
           "\"skipped\": %llu, \"turned_away\": %llu, \"late\": %llu, "
           "\"late_p50_ms\": %.1f, \"late_p99_ms\": %.1f, \"late_max_ms\": %.1f, "
           "\"spread_p50_ms\": %.1f, \"spread_p99_ms\": %.1f, \"spread_max_ms\": %.1f}\n",
           (clock_ns(CLOCK_MONOTONIC) - begin) / 1e9, (unsigned long long)playlists, (unsigned long long)parts,
           (unsigned long long)bytes, (unsigned long long)refused, (unsigned long long)skipped,
           (unsigned long long)turned_away, (unsigned long long)late,
           percentile(&lateness, 0.5), percentile(&lateness, 0.99), lateness.most / 1e3, percentile(&spread, 0.5),
           percentile(&spread, 0.99), spread.most / 1e3);
    fflush(stdout);
}

int main(int argc, char **argv) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (argc != 4) { fprintf(stderr, "see the comment at the top\n"); return 2; }
    while (known < RENDITIONS && fgets(renditions[known].folder, sizeof renditions[0].folder, stdin)) {
        char *folder = renditions[known].folder;
        folder[strcspn(folder, "\n")] = 0;
        if (!*folder) break;
        char *space = strchr(folder, ' ');
        if (!space) { fprintf(stderr, "a folder without its multivariant playlist\n"); return 2; }
        *space = 0;
        strcpy(renditions[known].multivariant, space + 1);
        for (int i = 0; i < RING; i++) renditions[known].serial[i] = -1;
        known++;
    }
    ep = epoll_create1(0);
    int port = atoi(argv[1]), wanted = atoi(argv[2]);
    double per_s = atof(argv[3]);
    uint64_t begin = clock_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < wanted && known;) {
        if (clock_ns(CLOCK_MONOTONIC) < begin + (uint64_t)(i / per_s * SECOND)) { turn(1); continue; }
        join(port, renditions + i++ % known);
        turn(0);
    }
    for (uint64_t until = clock_ns(CLOCK_MONOTONIC) + 2 * SECOND; clock_ns(CLOCK_MONOTONIC) < until;) turn(50);
    printf("{\"on\": %d}\n", wanted);
    fflush(stdout);
    double seconds, late_ms;
    while (fgets(buffer, 200, stdin) && sscanf(buffer, "count %lf %lf", &seconds, &late_ms) == 2) {
        late_us = late_ms * 1e3;
        count(seconds);
    }
    return 0;
}
