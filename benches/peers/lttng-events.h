/* The two events of the table, for LTTng-UST. Time and thread are the tracer's own. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER peers
#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "lttng-events.h"

#if !defined(PEERS_LTTNG_EVENTS_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define PEERS_LTTNG_EVENTS_H

#include <lttng/tracepoint.h>
#include <stdint.h>

LTTNG_UST_TRACEPOINT_EVENT(peers, long_event,
    LTTNG_UST_TP_ARGS(uint64_t, a, uint32_t, b, const char *, text),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer(uint64_t, a, a)
        lttng_ust_field_integer(uint32_t, b, b)
        lttng_ust_field_string(text, text)))

LTTNG_UST_TRACEPOINT_EVENT(peers, short_event,
    LTTNG_UST_TP_ARGS(uint64_t, a),
    LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(uint64_t, a, a)))

#endif

#include <lttng/tracepoint-event.h>
