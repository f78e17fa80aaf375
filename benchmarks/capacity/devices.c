/* Simulated devices for sizing: what `edgesdk sim` does, as far as a steady fleet needs it, at a tenth of its cost.
 *
 *   devices HOST PORT DEVICES RATE SECONDS DRAIN_S PREFIX EPOCH RESEND < texts
 *
 * Each device is born with a will, listens to down/ack, reports RATE results a second evenly with QoS 1, keeps each until a
 * collector tells that it is stored, and sends all of them again on a new connection or after two seconds without a word.
 * The template is a result in which @N, @E, @S, @A stand for node, epoch, number and time; so is the birth, on the second
 * line, and the will, on the third. With RESEND 0 nothing is sent again while a connection lasts. Prints four times a second, on
 * stderr, seconds, made and stored; at the end, on stdout, one JSON document. Needs the C library and Linux, and nothing else.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { KEPT = 256, WINDOW = 20, IN = 4096, OUT = 1 << 15, LAG_MS = 120000, TEXT = 4096 };

typedef struct {
    int fd, ready, connecting, index;
    uint32_t next_seq, upto, next_to_send, on_way; /* kept: upto + 1 .. next_seq - 1 */
    uint16_t packet_id;
    uint16_t id_of[WINDOW]; /* packet ids on their way; 0: free */
    double report_at, retry_at, retry_s, progress_at, patience_s, spoke_at;
    double made[KEPT];
    int have_in, have_out;
    unsigned char in[IN], *out;
} Device;

static Device *devices;
static int count, watch;
static char *prefix, *epoch, template_[TEXT], birth[TEXT], will[TEXT];
static struct sockaddr_in where;
static double rate, report_until;
static int resend;
static uint64_t made, stored, sent, resent, taken, refused, acks, connections, lost, full;
static uint32_t lag[LAG_MS + 1];
static volatile sig_atomic_t stopped;

static double clock_s(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}
static double now_s(void) { return clock_s(CLOCK_MONOTONIC); }
static void stop(int s) { (void)s; stopped = 1; }

static int name(char *to, int index) { return sprintf(to, "local.%s-%05d", prefix, index + 1); }

/* Write milliseconds since 1970 as the messages do; the text of a second is made once. */
static int moment(char *to, double wall) {
    static long last = -1;
    static char text[24];
    long s = (long)wall;
    if (s != last) {
        struct tm t;
        gmtime_r(&s, &t);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &t);
        last = s;
    }
    return sprintf(to, "%s.%03dZ", text, (int)((wall - s) * 1000));
}

static int fill(char *to, const char *from, Device *d, uint32_t seq, double wall) {
    char *at = to;
    for (; *from; from++) {
        if (*from != '@') { *at++ = *from; continue; }
        switch (*++from) {
            case 'N': at += name(at, d->index); break;
            case 'E': at += sprintf(at, "%s", epoch); break;
            case 'S': at += sprintf(at, "%u", seq); break;
            case 'A': at += moment(at, wall); break;
            default: *at++ = '@'; *at++ = *from;
        }
    }
    return (int)(at - to);
}

static unsigned char *text(unsigned char *p, const char *s, int n) {
    *p++ = n >> 8; *p++ = n & 255;
    memcpy(p, s, n);
    return p + n;
}

static unsigned char *length(unsigned char *p, int n) {
    do { *p = n & 127; n >>= 7; if (n) *p |= 128; p++; } while (n);
    return p;
}

static void lose(Device *d, double now) {
    if (d->fd >= 0) close(d->fd);
    if (d->ready) lost++;
    d->fd = -1; d->ready = d->connecting = 0; d->have_in = d->have_out = 0; d->on_way = 0;
    memset(d->id_of, 0, sizeof d->id_of);
    d->retry_at = now + d->retry_s * (0.5 + drand48() / 2);
    d->retry_s = d->retry_s * 2 > 60 ? 60 : d->retry_s * 2;
}

static void interest(Device *d) {
    struct epoll_event e = {EPOLLIN | ((d->have_out || d->connecting) ? EPOLLOUT : 0), {.ptr = d}};
    epoll_ctl(watch, EPOLL_CTL_MOD, d->fd, &e);
}

static void flush_(Device *d, double now) {
    while (d->have_out) {
        ssize_t n = send(d->fd, d->out, d->have_out, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EAGAIN) { interest(d); return; }
            lose(d, now);
            return;
        }
        memmove(d->out, d->out + n, d->have_out - n);
        d->have_out -= n;
    }
}

static void publish(Device *d, const char *channel, const char *body, int size, int retain, int tracked) {
    if (d->have_out + size + 512 > OUT) { full++; return; }
    char topic[160];
    char node[80];
    name(node, d->index);
    int n = sprintf(topic, "edgesdk/1/%s/%s", node, channel);
    static const unsigned char kind[] = "\x13\x03\x00\x10" "application/json";
    unsigned char *p = d->out + d->have_out;
    *p++ = 0x32 | retain;
    p = length(p, 2 + n + 2 + 20 + size);
    p = text(p, topic, n);
    do d->packet_id++; while (!d->packet_id);
    *p++ = d->packet_id >> 8; *p++ = d->packet_id & 255;
    memcpy(p, kind, 20); p += 20;
    memcpy(p, body, size);
    d->have_out = (int)(p + size - d->out);
    if (tracked)
        for (int i = 0; i < WINDOW; i++)
            if (!d->id_of[i]) { d->id_of[i] = d->packet_id; d->on_way++; break; }
    sent++;
}

static void send_due(Device *d, double now) {
    static char body[TEXT * 2];
    double shift = clock_s(CLOCK_REALTIME) - now;
    while (d->ready && d->on_way < WINDOW && d->next_to_send < d->next_seq) {
        uint32_t seq = d->next_to_send++;
        if (seq <= d->upto) continue;
        int n = fill(body, template_, d, seq, d->made[seq % KEPT] + shift);
        publish(d, "up/result", body, n, 0, 1);
        d->spoke_at = now;
    }
    if (d->ready && d->have_out) flush_(d, now);
}

static void begin(Device *d, double now) {
    d->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (d->fd < 0) { perror("socket"); exit(1); }
    int one = 1;
    setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event e = {EPOLLIN | EPOLLOUT, {.ptr = d}};
    epoll_ctl(watch, EPOLL_CTL_ADD, d->fd, &e);
    d->connecting = 1;
    d->spoke_at = now;
    if (connect(d->fd, (struct sockaddr *)&where, sizeof where) < 0 && errno != EINPROGRESS) lose(d, now);
}

static void greet(Device *d, double now) {
    char node[80], topic[160], body[TEXT];
    int n = name(node, d->index), t = sprintf(topic, "edgesdk/1/%s/up/state", node);
    int w = fill(body, will, d, d->next_seq, clock_s(CLOCK_REALTIME));
    unsigned char packet[TEXT + 512], *p = packet;
    p = text(p, "MQTT", 4);
    *p++ = 5; *p++ = 0x2c; /* will, QoS 1, retained; the session goes on */
    *p++ = 0; *p++ = 30;
    memcpy(p, "\x05\x11\x00\x00\x00\x3c", 6); p += 6;
    p = text(p, node, n);
    memcpy(p, "\x05\x18\x00\x00\x00\x0a", 6); p += 6;
    p = text(p, topic, t);
    p = text(p, body, w);
    int size = (int)(p - packet);
    unsigned char *o = d->out;
    *o++ = 0x10;
    o = length(o, size);
    memcpy(o, packet, size);
    d->have_out = (int)(o + size - d->out);
    d->connecting = 0;
    interest(d);
    flush_(d, now);
}

static void accepted(Device *d, double now) {
    char node[80], topic[160], body[TEXT];
    name(node, d->index);
    int t = sprintf(topic, "edgesdk/1/%s/down/ack", node);
    unsigned char *p = d->out + d->have_out;
    *p++ = 0x82;
    p = length(p, 2 + 1 + 2 + t + 1);
    *p++ = 0xff; *p++ = 0xff; *p++ = 0;
    p = text(p, topic, t);
    *p++ = 1;
    d->have_out = (int)(p - d->out);
    d->ready = 1;
    d->retry_s = 1;
    connections++;
    double wall = clock_s(CLOCK_REALTIME);
    publish(d, "up/birth", body, fill(body, birth, d, d->next_seq, wall), 1, 0);
    if (d->next_to_send > d->upto + 1) resent += d->next_to_send - d->upto - 1;
    d->next_to_send = d->upto + 1;
    send_due(d, now);
}

static void told(Device *d, const char *body, int size, double now) {
    char copy[1024];
    if (size >= (int)sizeof copy) size = sizeof copy - 1;
    memcpy(copy, body, size);
    copy[size] = 0;
    char *u = strstr(copy, "\"upto\":"), *e = strstr(copy, epoch);
    if (!u || !e) return;
    acks++;
    uint32_t upto = strtoul(u + 7, 0, 10);
    if (upto >= d->next_seq || upto <= d->upto) return;
    for (uint32_t seq = d->upto + 1; seq <= upto; seq++) {
        double ms = (now - d->made[seq % KEPT]) * 1000;
        lag[ms < 0 ? 0 : ms > LAG_MS ? LAG_MS : (int)ms]++;
        stored++;
    }
    d->upto = upto;
    d->progress_at = now;
    d->patience_s = 2;
}

static int packet(Device *d, unsigned char *p, int size, unsigned char *body, double now) {
    int kind = p[0] >> 4;
    if (kind == 2) {
        if (size < 2 || body[1]) { fprintf(stderr, "refused: %d\n", size < 2 ? -1 : body[1]); return -1; }
        accepted(d, now);
    } else if (kind == 4) {
        uint16_t id = body[0] << 8 | body[1];
        if (size > 2 && body[2] >= 128) refused++; else taken++;
        for (int i = 0; i < WINDOW; i++)
            if (d->id_of[i] == id) { d->id_of[i] = 0; d->on_way--; break; }
    } else if (kind == 3) {
        int at = 2 + (body[0] << 8 | body[1]), qos = p[0] >> 1 & 3, id = 0;
        if (qos) { id = body[at] << 8 | body[at + 1]; at += 2; }
        int props = 0, shift = 0;
        do { props |= (body[at] & 127) << shift; shift += 7; } while (body[at++] & 128 && shift < 28);
        at += props;
        if (at > size) return -1;
        if (qos && d->have_out + 4 <= OUT) {
            unsigned char *o = d->out + d->have_out;
            o[0] = 0x40; o[1] = 2; o[2] = id >> 8; o[3] = id & 255;
            d->have_out += 4;
        }
        told(d, (char *)body + at, size - at, now);
    } else if (kind == 14) return -1;
    return 0;
}

static void hear(Device *d, double now) {
    for (;;) {
        ssize_t n = recv(d->fd, d->in + d->have_in, IN - d->have_in, 0);
        if (n < 0 && errno == EAGAIN) break;
        if (n <= 0) { lose(d, now); return; }
        d->have_in += n;
        int at = 0;
        while (d->have_in - at >= 2) {
            int size = 0, shift = 0, b = at + 1;
            do { size |= (d->in[b] & 127) << shift; shift += 7; } while (d->in[b++] & 128 && b < d->have_in && shift < 28);
            if (b + size > d->have_in) break;
            if (packet(d, d->in + at, size, d->in + b, now)) { lose(d, now); return; }
            if (d->fd < 0) return;
            at = b + size;
        }
        memmove(d->in, d->in + at, d->have_in - at);
        d->have_in -= at;
        if (d->have_in == IN) { lose(d, now); return; }
        if (n < 1024) break;
    }
    send_due(d, now);
    if (d->ready && d->have_out) flush_(d, now);
}

/* What is due of one device, looked at fifty times a second. */
static void due(Device *d, double now) {
    while (d->report_at <= now && d->report_at < report_until) {
        if (d->next_seq - d->upto > KEPT - 2) { full++; d->report_at += 1 / rate; continue; }
        if (d->upto == d->next_seq - 1) { d->progress_at = now; d->patience_s = 2; }
        d->made[d->next_seq++ % KEPT] = d->report_at;
        made++;
        d->report_at += 1 / rate;
    }
    if (d->fd < 0) { if (now >= d->retry_at) begin(d, now); return; }
    if (!d->ready) { if (now - d->spoke_at > 15) lose(d, now); return; }
    if (resend && d->upto < d->next_to_send - 1 && d->next_to_send == d->next_seq && now - d->progress_at > d->patience_s) {
        resent += d->next_to_send - 1 - d->upto;
        d->next_to_send = d->upto + 1;
        d->progress_at = now;
        d->patience_s = d->patience_s * 2 > 60 ? 60 : d->patience_s * 2;
    }
    send_due(d, now);
    if (d->fd >= 0 && now - d->spoke_at > 12 && d->have_out + 2 < OUT) {
        d->out[d->have_out++] = 0xc0; d->out[d->have_out++] = 0;
        d->spoke_at = now;
        flush_(d, now);
    }
}

static double percentile(double p) {
    uint64_t all = 0, below = 0;
    for (int i = 0; i <= LAG_MS; i++) all += lag[i];
    for (int i = 0; i <= LAG_MS; i++) if ((below += lag[i]) >= all * p) return i;
    return LAG_MS;
}

int main(int argc, char **argv) {
    if (argc != 10) { fprintf(stderr, "devices HOST PORT DEVICES RATE SECONDS DRAIN_S PREFIX EPOCH RESEND < texts\n"); return 2; }
    resend = atoi(argv[9]);
    count = atoi(argv[3]); rate = atof(argv[4]); prefix = argv[7]; epoch = argv[8];
    double seconds = atof(argv[5]), drain = atof(argv[6]);
    where.sin_family = AF_INET; where.sin_port = htons(atoi(argv[2]));
    if (!inet_aton(argv[1], &where.sin_addr)) return 2;
    char *lines[] = {template_, birth, will};
    for (int i = 0; i < 3; i++) {
        if (!fgets(lines[i], TEXT, stdin)) { fprintf(stderr, "no text %d\n", i); return 2; }
        lines[i][strcspn(lines[i], "\n")] = 0;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGINT, stop); signal(SIGTERM, stop); signal(SIGPIPE, SIG_IGN);
    watch = epoll_create1(0);
    devices = calloc(count, sizeof *devices);
    /* Reports begin when all are born, and the births are stored. */
    double began = now_s(), ramp = count / 2000.0, start = began + ramp + 3;
    srand48(1);
    for (int i = 0; i < count; i++) {
        Device *d = devices + i;
        d->index = i; d->fd = -1; d->next_seq = d->next_to_send = 1; d->retry_s = 1;
        d->out = malloc(OUT);
        d->retry_at = began + ramp * i / count;
        /* Evenly: each has a moment of its own within the period. */
        d->report_at = start + fmod(i * 0.6180339887, 1.0) / rate;
    }
    report_until = start + seconds;
    double look_at = 0, tell_at = start, end = report_until + drain;
    struct epoll_event events[512];
    for (;;) {
        double now = now_s();
        if (now >= look_at) {
            look_at = now + 0.02;
            uint64_t kept = 0;
            for (int i = 0; i < count; i++) { due(devices + i, now); kept += devices[i].next_seq - 1 - devices[i].upto; }
            if (stopped || now > end || (now > report_until && !kept)) break;
            now = now_s();
            if (now >= tell_at) {
                tell_at += 0.25;
                fprintf(stderr, "%.3f %lu %lu\n", now - start, made, stored);
            }
        }
        int wait = (int)((look_at - now) * 1000) + 1;
        int n = epoll_wait(watch, events, 512, wait < 0 ? 0 : wait);
        now = now_s();
        for (int i = 0; i < n; i++) {
            Device *d = events[i].data.ptr;
            if (d->fd < 0) continue;
            if (d->connecting && events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
                int error = 0;
                socklen_t size = sizeof error;
                getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &size);
                if (error) lose(d, now); else greet(d, now);
                continue;
            }
            if (events[i].events & EPOLLOUT) { flush_(d, now); if (d->fd >= 0 && !d->have_out) interest(d); }
            if (d->fd >= 0 && events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) hear(d, now);
        }
    }
    uint64_t kept = 0; int ready = 0;
    for (int i = 0; i < count; i++) { kept += devices[i].next_seq - 1 - devices[i].upto; ready += devices[i].ready; }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"devices\": %d, \"connected\": %d, \"made\": %lu, \"told_stored\": %lu, \"kept\": %lu, \"sent\": %lu, \"resent\": %lu, "
           "\"taken_by_broker\": %lu, \"refused_by_broker\": %lu, \"acks\": %lu, \"connections\": %lu, \"lost_connections\": %lu, "
           "\"no_room\": %lu, \"stored_after_ms\": {\"p50\": %.0f, \"p99\": %.0f, \"max\": %.0f}, \"cpu_s\": %.3f, "
           "\"reported_s\": %.3f, \"seconds\": %.3f}\n",
           count, ready, made, stored, kept, sent, resent, taken, refused, acks, connections, lost, full, percentile(0.5),
           percentile(0.99), percentile(1.0),
           used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6,
           seconds, now_s() - began);
    return 0;
}
