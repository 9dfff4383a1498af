/* Text for people: where it goes, how wide it is, how times and values read.
 *
 * What comes from a workflow, a model or a program is shown with its control characters escaped
 * (\x1b, \u202e; a line end or tab within a line is a space), so that it can neither move the
 * cursor nor forge a line. Widths are columns of a terminal, not bytes.
 */
#ifndef CAIRN_CLI_TEXT_H
#define CAIRN_CLI_TEXT_H

#include "base/base.h"

/* A standard stream. After a failed write the rest is dropped; main tells. */
struct sink {
    int fd;
    int failed; /* errno of the first failed write, 0 for none */
    bool tty;
    bool terminal; /* a terminal that understands ANSI sequences */
    bool colour;
    bool utf8;
};

void sink_init(struct sink *s, int fd);
void sink_write(struct sink *s, struct str text);
/* Writes and empties b. */
void sink_flush(struct sink *s, struct buf *b);
/* The same of printed JSON, and ends the line; what a terminal would act on is escaped in it. */
void sink_flush_json(struct sink *s, struct buf *b);
void sink_printf(struct sink *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Columns and lines of its terminal now; 80 x 24 when there is none. */
void sink_size(const struct sink *s, uint32_t *out_columns, uint32_t *out_lines);

enum colour { COLOUR_NONE, COLOUR_RED, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_BLUE, COLOUR_DIM };
/* Text in a colour when the sink has colours. */
void text_colour(struct buf *b, const struct sink *s, enum colour colour, struct str text);
/* The colour of a status word of executions and steps. */
enum colour text_status_colour(struct str status);

/* Columns of a text of one line. */
uint32_t text_width(struct str s);
/* At most max columns, "..." at the end when cut; one line. */
void text_clip(struct buf *b, struct str s, uint32_t max_columns);
/* Of a text that programs print: the next line, without its end (LF or CR LF); *text the rest. */
struct str text_next_line(struct str *text);
/* One line, whole. */
void text_clean(struct buf *b, struct str s);
/* Several lines, each behind the indent, whole; tabs stay. */
void text_block(struct buf *b, struct str s, const char *indent);
/* The same of a text that may be very long: the beginning, how long it is, and which command has
 * it whole ("`results --json`"). */
enum { TEXT_MESSAGE_MOST = 2000, TEXT_BLOCK_MOST = 16000 }; /* bytes */
void text_message(struct buf *b, struct str s, const char *where);
void text_message_block(struct buf *b, struct str s, const char *indent, const char *where);
#define TEXT_IN_RESULTS "`results --json`"
#define TEXT_IN_LOGS "`logs`"
/* As one word of a shell: quoted when it has to be. */
void text_shell(struct buf *b, struct str s);
/* Words in lines of at most so many columns; the first begins at column indent. Ends the line. */
void text_wrap(struct buf *b, struct str s, uint32_t indent, uint32_t columns);
void text_pad(struct buf *b, uint32_t columns);

/* "12ms", "1.2s", "3m05s", "2h07m": three digits or so. */
void text_duration(struct buf *b, int64_t us);
/* Local time: 2026-11-21 09:40:12, and 09:40:12.123. */
void text_date(struct buf *b, wall_us t);
void text_clock(struct buf *b, wall_us t);

/* The name in a step's id, to which its iteration, index and generation are added. */
struct str text_node_of(struct str step);

#endif
