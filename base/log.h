/*
 * log.h - one line per event, on stderr, for people and for the journal:
 *   <6>2026-11-21T10:00:00.123Z commit: mounted volume=ab12 store="/a b"
 * The "<N>" prefix only when JOURNAL_STREAM is set.  Values with blanks or
 * control characters are quoted and escaped.  Only fs/fuse/fuse_ll.c, fs/daemon/mount.c,
 * background threads of fs/ and mount-tools/ log; the rest return errors.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_ERROR = 3, LOG_WARN = 4, LOG_INFO = 6, LOG_DEBUG = 7 };

/* Events above this level are dropped; LOG_INFO at start. */
void log_set_level(enum log_level level);

/* fmt gives `key=value` pairs; event is lower case, no full stop. */
void log_event(enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Escapes a hostile string for a terminal or a log line into out (always
 * terminated): control characters, ESC, DEL, C1 and broken UTF-8 as \xNN.
 */
void log_escape(char *out, unsigned long cap, const char *s, unsigned long n);
/*
 * A value for log_event: escaped as log_escape does, and in double quotes
 * when it is empty or holds a blank, a quote, an equals sign or an escape.
 * Cut when too long; cap >= 3.
 */
void log_value(char *out, unsigned long cap, const char *s, unsigned long n);

#endif
