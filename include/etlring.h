/* etlring: record events into Windows .etl logs, and read such logs, from C.
 *
 *   session    a recording: buffers in memory and the log file that they go to
 *   provider   who logs; sessions enable it by its GUID, with a level and keywords
 *   logger     what messages are written to: the writing end of one session
 *   reader     the records of a log file, one at a time
 *
 * Rules that hold for every function:
 *
 * - It answers ETLRING_OK or a Win32 error number, by the name that winerror.h has for it.
 *   etlring_last_message() says more about the last failure of the calling thread.
 * - Sessions, providers and loggers may be used by any number of threads at the same time; a
 *   reader by one thread at a time. The call that frees something must be the last with it.
 * - NULL is answered with an error where something is needed, and freeing NULL does nothing. Other
 *   pointers must be valid for the call; nothing of the caller's is kept unless it is said.
 * - Text is UTF-8 and ends with a NUL, in and out; a path is whatever bytes the system takes.
 * - Nothing unwinds into the caller: a panic within is ETLRING_ERROR_INTERNAL_ERROR. A callback
 *   must not throw.
 * - Writing neither allocates nor makes a system call, but for the first event of a thread.
 * - A structure that starts with `size` may grow at its end. Set `size` to its sizeof, everything
 *   that is not of interest to zero, and programs built with older and newer headers go on working.
 *
 * The log format and the answers of each call: spec/ of the repository.
 */
#ifndef ETLRING_H
#define ETLRING_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#define ETLRING_NOEXCEPT noexcept
#else
#define ETLRING_NOEXCEPT
#endif

/* The version of this header; etlring_version() is that of the library. */
#define ETLRING_VERSION_MAJOR 0
#define ETLRING_VERSION_MINOR 1
#define ETLRING_VERSION_PATCH 0
#define ETLRING_VERSION 0x000100u /* 0xMMmmpp */

/* Zero or a number of winerror.h. */
typedef uint32_t etlring_status;

#define ETLRING_OK 0u
#define ETLRING_ERROR_INVALID_FUNCTION 1u
#define ETLRING_ERROR_ACCESS_DENIED 5u
#define ETLRING_ERROR_INVALID_HANDLE 6u
#define ETLRING_ERROR_NOT_ENOUGH_MEMORY 8u /* no buffer free, event discarded and counted */
#define ETLRING_ERROR_BAD_FORMAT 11u       /* no log file */
#define ETLRING_ERROR_INVALID_DATA 13u     /* another process sent what is no message */
#define ETLRING_ERROR_OUTOFMEMORY 14u      /* no lane free, event discarded and counted */
#define ETLRING_ERROR_BAD_LENGTH 24u       /* the size member of a structure */
#define ETLRING_ERROR_GEN_FAILURE 31u
#define ETLRING_ERROR_NOT_SUPPORTED 50u
#define ETLRING_ERROR_INVALID_PARAMETER 87u
#define ETLRING_ERROR_BROKEN_PIPE 109u     /* another process hung up */
#define ETLRING_ERROR_BUFFER_OVERFLOW 111u /* a consumer was too slow and missed events */
#define ETLRING_ERROR_DISK_FULL 112u
#define ETLRING_ERROR_BAD_PATHNAME 161u
#define ETLRING_ERROR_ALREADY_EXISTS 183u
#define ETLRING_ERROR_INVALID_FLAG_NUMBER 186u
#define ETLRING_ERROR_MORE_DATA 234u /* event does not fit a buffer, counted as lost */
#define ETLRING_ERROR_NO_MORE_ITEMS 259u
#define ETLRING_ERROR_ARITHMETIC_OVERFLOW 534u /* event larger than any may be */
#define ETLRING_ERROR_INVALID_FLAGS 1004u
#define ETLRING_ERROR_INTERNAL_ERROR 1359u
#define ETLRING_ERROR_FILE_CORRUPT 1392u
#define ETLRING_ERROR_NO_SYSTEM_RESOURCES 1450u
#define ETLRING_ERROR_TIMEOUT 1460u /* nothing came, or another process does not answer */
#define ETLRING_ERROR_WMI_INSTANCE_NOT_FOUND 4201u /* no such session, or it has stopped */

/* Version of the library, as ETLRING_VERSION. */
uint32_t etlring_version(void) ETLRING_NOEXCEPT;

/* What was wrong with the calling thread's last call that failed; "" before the first. Lives until
 * the thread's next call of this library. */
const char *etlring_last_message(void) ETLRING_NOEXCEPT;

/* "ERROR_INVALID_HANDLE" for 6, and so on; "?" for numbers that no function answers. */
const char *etlring_status_name(etlring_status status) ETLRING_NOEXCEPT;

/* A GUID, with the layout that Windows has for it. */
typedef struct etlring_guid {
    uint32_t data1;
    uint16_t data2;
    uint16_t data3;
    uint8_t data4[8];
} etlring_guid;

/* ---- sessions ---------------------------------------------------------------------------- */

typedef struct etlring_session etlring_session;
typedef struct etlring_logger etlring_logger;

/* Bits of etlring_session_options.mode, as EVENT_TRACE_*. */
#define ETLRING_MODE_SEQUENTIAL 0x1u
#define ETLRING_MODE_CIRCULAR 0x2u /* the file is the ring; needs maximum_file_size */
#define ETLRING_MODE_APPEND 0x4u
#define ETLRING_MODE_NEWFILE 0x8u /* log_file holds a %d */
#define ETLRING_MODE_PREALLOCATE 0x20u
#define ETLRING_MODE_REAL_TIME 0x100u
#define ETLRING_MODE_DELAY_OPEN 0x200u
#define ETLRING_MODE_BUFFERING 0x400u /* a ring in memory, for etlring_session_snapshot */
#define ETLRING_MODE_USE_KBYTES 0x2000u
#define ETLRING_MODE_GLOBAL_SEQUENCE 0x4000u
#define ETLRING_MODE_LOCAL_SEQUENCE 0x8000u
#define ETLRING_MODE_ONE_LANE 0x10000000u

#define ETLRING_CLOCK_DEFAULT 0u
#define ETLRING_CLOCK_PERFORMANCE_COUNTER 1u
#define ETLRING_CLOCK_SYSTEM_TIME 2u
#define ETLRING_CLOCK_CPU_CYCLES 3u
#define ETLRING_CLOCK_FLUSHER_TICK 0x100u /* the cheapest: as the flusher last looked */

#define ETLRING_RING_FILE_DEFAULT 0u /* beside a log file, if it can be made */
#define ETLRING_RING_FILE_REQUIRED 1u
#define ETLRING_RING_FILE_NEVER 2u

#define ETLRING_FLUSH_WHEN_FULL UINT32_MAX

/* Other processes of the same user find it by its name: etlring_client, the command etlring. */
#define ETLRING_SESSION_CONTROLLABLE 0x1u
/* A writer that finds no free buffer takes the oldest full one back: the newest events are kept, and
 * the log says where others are missing. Not together with wait_ms. */
#define ETLRING_SESSION_OVERWRITE 0x2u

/* Zero in a number means its default. */
typedef struct etlring_session_options {
    size_t size;                  /* sizeof(etlring_session_options) */
    const char *name;             /* unlike that of any running session of the process */
    const char *log_file;         /* NULL with ETLRING_MODE_BUFFERING */
    uint32_t mode;                /* ETLRING_MODE_* */
    uint32_t clock;               /* ETLRING_CLOCK_* */
    uint32_t buffer_size;         /* in bytes; 65536 */
    uint32_t minimum_buffers;     /* there from the start; 32 */
    uint32_t maximum_buffers;     /* 512 */
    uint32_t flush_interval_ms;   /* 1000; ETLRING_FLUSH_WHEN_FULL */
    uint32_t maximum_file_size;   /* in MiB, or KiB with ETLRING_MODE_USE_KBYTES; no bound */
    uint32_t new_file_interval_s; /* age at which ETLRING_MODE_NEWFILE begins a new file; never */
    uint32_t files_kept;          /* of ETLRING_MODE_NEWFILE; all */
    uint32_t ring_file;           /* ETLRING_RING_FILE_* */
    uint32_t sync;                /* 1: each flush brings the log to the disk */
    uint32_t wait_ms;             /* how long a writer waits for a free buffer; not at all */
    uint32_t flags;               /* ETLRING_SESSION_* */
    uint32_t reserved;            /* 0 */
} etlring_session_options;

/* Counters of a session at one moment. Once its writers are quiet
 * attempted = accepted + lost + disabled + after_stop. */
typedef struct etlring_session_statistics {
    size_t size; /* sizeof(etlring_session_statistics), set by the caller */
    uint64_t events_attempted;
    uint64_t events_accepted;
    uint64_t events_lost; /* the sum of the next six */
    uint64_t lost_no_free_buffer;
    uint64_t lost_too_large;
    uint64_t lost_no_lane;
    uint64_t lost_reentered;
    uint64_t lost_file_full;
    uint64_t lost_io;
    uint64_t events_disabled;
    uint64_t events_after_stop;
    uint64_t buffers_written;
    uint64_t buffers_lost;
    uint32_t buffers_free;
    uint32_t buffers_total;
    uint32_t buffer_size;
    uint32_t lanes;
} etlring_session_statistics;

/* Starts a session. *session is set only if it is. */
etlring_status etlring_session_start(const etlring_session_options *options,
                                     etlring_session **session) ETLRING_NOEXCEPT;
/* Has this process log into the session of this name, which another process of the user made with
 * ETLRING_SESSION_CONTROLLABLE. What comes of it is a session of this process: its events are in
 * the owner's log, and its providers are enabled as the owner's session says. Zero buffers mean
 * the default. */
etlring_status etlring_session_attach(const char *name, uint32_t maximum_buffers,
                                      etlring_session **session) ETLRING_NOEXCEPT;
/* The session that the environment asks for (etlring start), started at the first call; *session is
 * NULL if it asks for none. Freeing the object leaves that session running: it lives until somebody
 * stops it, or the process ends. */
etlring_status etlring_session_default(etlring_session **session) ETLRING_NOEXCEPT;
/* Waits until everything that was written before is in the log. */
etlring_status etlring_session_flush(const etlring_session *session) ETLRING_NOEXCEPT;
etlring_status etlring_session_query(const etlring_session *session,
                                     etlring_session_statistics *statistics) ETLRING_NOEXCEPT;
/* Writes what a ring holds to a new log file, while writers go on: ETLRING_MODE_BUFFERING and
 * ETLRING_MODE_CIRCULAR. */
etlring_status etlring_session_snapshot(const etlring_session *session,
                                        const char *path) ETLRING_NOEXCEPT;
/* Ends the log; whoever writes from now on is refused. The second call of it does nothing. */
etlring_status etlring_session_stop(const etlring_session *session) ETLRING_NOEXCEPT;
/* Stops the session, if that was not done, and frees it with the logger of it. */
void etlring_session_free(etlring_session *session) ETLRING_NOEXCEPT;
/* Number of the session, unlike that of any other session the process has had; 0 for NULL. */
uint64_t etlring_session_id(const etlring_session *session) ETLRING_NOEXCEPT;

/* Level 0 is all levels. Of `any` an event's keyword has at least one bit (0: any keyword), of
 * `all` every one. The provider need not be registered yet. Ends with the session. */
etlring_status etlring_session_enable(const etlring_session *session, const etlring_guid *provider,
                                      uint8_t level, uint64_t any_keyword,
                                      uint64_t all_keywords) ETLRING_NOEXCEPT;
etlring_status etlring_session_disable(const etlring_session *session,
                                       const etlring_guid *provider) ETLRING_NOEXCEPT;

/* Where messages of this session go. Borrowed: lives as long as the session's object. */
const etlring_logger *etlring_session_logger(const etlring_session *session) ETLRING_NOEXCEPT;
/* That of the running session of this number, as a provider's callback is told. */
etlring_status etlring_logger_open(uint64_t session_id, etlring_logger **logger) ETLRING_NOEXCEPT;
/* Frees what etlring_logger_open made. */
void etlring_logger_free(etlring_logger *logger) ETLRING_NOEXCEPT;

/* ---- providers --------------------------------------------------------------------------- */

typedef struct etlring_provider etlring_provider;

#define ETLRING_CONTROL_DISABLE 0u
#define ETLRING_CONTROL_ENABLE 1u
#define ETLRING_CONTROL_CAPTURE_STATE 2u

/* What a callback is told. Level and keywords are those of all sessions together. */
typedef struct etlring_change {
    size_t size;         /* set by the library */
    uint64_t session_id; /* who asked */
    uint64_t instance;   /* its bit for the filter of etlring_event_write_ex */
    uint64_t any_keyword;
    uint64_t all_keywords;
    uint32_t control; /* ETLRING_CONTROL_* */
    uint8_t level;    /* the most verbose level wanted; 0 for all */
    uint8_t enabled;  /* whether any session wants events now */
    uint8_t reserved[2];
} etlring_change;

/* Runs on the thread of whoever makes the change. `change` lives for the call. It may still run on
 * another thread when etlring_provider_unregister returns. */
typedef void (*etlring_callback)(const etlring_change *change, void *context);
/* Runs once, when no callback with this context runs any more or will. */
typedef void (*etlring_release)(void *context);

typedef struct etlring_event_descriptor {
    uint16_t id;
    uint8_t version;
    uint8_t channel;
    uint8_t level; /* 1 critical, 2 error, 3 warning, 4 information, 5 verbose */
    uint8_t opcode;
    uint16_t task;
    uint64_t keyword;
} etlring_event_descriptor;

/* A piece of data; `bytes` may be NULL if `size` is 0. */
typedef struct etlring_data {
    const void *bytes;
    size_t size;
} etlring_data;

#define ETLRING_MAX_EVENT_DATA 128u

/* The name is for people. Callback and release may be NULL; without a callback, or if the call fails,
 * nothing is released. */
etlring_status etlring_provider_register(const etlring_guid *guid, const char *name,
                                         etlring_callback callback, void *context,
                                         etlring_release release,
                                         etlring_provider **provider) ETLRING_NOEXCEPT;
void etlring_provider_unregister(etlring_provider *provider) ETLRING_NOEXCEPT;
/* 1 if a session may want such an event, else 0; 0 for NULL. */
int etlring_provider_enabled(const etlring_provider *provider, uint8_t level,
                             uint64_t keyword) ETLRING_NOEXCEPT;

/* The payload of the event are the bytes of all pieces. Nobody wanting it is no error. */
etlring_status etlring_event_write(const etlring_provider *provider,
                                   const etlring_event_descriptor *descriptor, uint32_t count,
                                   const etlring_data *data) ETLRING_NOEXCEPT;
/* With its activity, the thread's if NULL, and the one that it came from, if there is one. */
etlring_status etlring_event_write_transfer(const etlring_provider *provider,
                                            const etlring_event_descriptor *descriptor,
                                            const etlring_guid *activity,
                                            const etlring_guid *related, uint32_t count,
                                            const etlring_data *data) ETLRING_NOEXCEPT;
/* Not for the sessions whose etlring_change.instance is a bit of `filter`. Flags are those of
 * EventWriteEx, or 0. */
etlring_status etlring_event_write_ex(const etlring_provider *provider,
                                      const etlring_event_descriptor *descriptor, uint64_t filter,
                                      uint32_t flags, const etlring_guid *activity,
                                      const etlring_guid *related, uint32_t count,
                                      const etlring_data *data) ETLRING_NOEXCEPT;
/* An event that is a text; it is recorded as UTF-16. */
etlring_status etlring_event_write_string(const etlring_provider *provider, uint8_t level,
                                          uint64_t keyword, const char *text) ETLRING_NOEXCEPT;

/* Types of fields: how `bytes` is encoded, and how it is to be shown. */
#define ETLRING_TYPE_INT8 3u
#define ETLRING_TYPE_UINT8 4u
#define ETLRING_TYPE_INT16 5u
#define ETLRING_TYPE_UINT16 6u
#define ETLRING_TYPE_INT32 7u
#define ETLRING_TYPE_UINT32 8u
#define ETLRING_TYPE_INT64 9u
#define ETLRING_TYPE_UINT64 10u
#define ETLRING_TYPE_FLOAT 11u
#define ETLRING_TYPE_DOUBLE 12u
#define ETLRING_TYPE_BOOL32 13u /* four bytes */
#define ETLRING_TYPE_GUID 15u
#define ETLRING_TYPE_FILETIME 17u
#define ETLRING_TYPE_HEX32 20u
#define ETLRING_TYPE_HEX64 21u
#define ETLRING_TYPE_UTF16 22u       /* counted: no NUL needed, at most 65,535 bytes */
#define ETLRING_TYPE_BINARY 25u      /* the same */
#define ETLRING_TYPE_UTF8 0x2317u    /* the same */

/* A value with its name. */
typedef struct etlring_field {
    const char *name;
    const void *bytes; /* may be NULL if `size` is 0 */
    size_t size;       /* of a number it must be what its type has */
    uint32_t type;     /* ETLRING_TYPE_* */
    uint32_t reserved; /* 0 */
} etlring_field;

/* A field of a variable, and of a text that ends with a NUL. */
#define ETLRING_FIELD(name, type, variable) \
    { (name), &(variable), sizeof(variable), ETLRING_TYPE_##type, 0 }
#define ETLRING_TEXT(name, text) \
    { (name), (text), strlen(text), ETLRING_TYPE_UTF8, 0 }

/* An event that brings its name and those of its fields, at most ETLRING_MAX_EVENT_DATA / 2, in the
 * way of TraceLogging, so that any reader can show them. It belongs to the thread's activity. A
 * channel of 0 becomes 11, that of such events. */
etlring_status etlring_event_write_fields(const etlring_provider *provider,
                                          const etlring_event_descriptor *descriptor,
                                          const char *name, uint32_t count,
                                          const etlring_field *fields) ETLRING_NOEXCEPT;

#define ETLRING_ACTIVITY_GET 1u
#define ETLRING_ACTIVITY_SET 2u
#define ETLRING_ACTIVITY_CREATE 3u
#define ETLRING_ACTIVITY_GET_SET 4u    /* exchanges */
#define ETLRING_ACTIVITY_CREATE_SET 5u /* sets a new one, gives the one before */

/* Gives, sets or makes the id of the calling thread's activity. */
etlring_status etlring_activity_control(uint32_t control, etlring_guid *activity) ETLRING_NOEXCEPT;

/* ---- TraceMessage ------------------------------------------------------------------------ */

#define ETLRING_MESSAGE_SEQUENCE 0x1u /* needs a session with ETLRING_MODE_*_SEQUENCE */
#define ETLRING_MESSAGE_GUID 0x2u
#define ETLRING_MESSAGE_COMPONENTID 0x4u /* instead of GUID */
#define ETLRING_MESSAGE_TIMESTAMP 0x8u
#define ETLRING_MESSAGE_PERFORMANCE_TIMESTAMP 0x10u
#define ETLRING_MESSAGE_SYSTEMINFO 0x20u

/* `id` is NULL, a const etlring_guid * with ETLRING_MESSAGE_GUID, or a const uint32_t * with
 * ETLRING_MESSAGE_COMPONENTID. More than 65,535 pieces are an invalid parameter. */
etlring_status etlring_trace_message(const etlring_logger *logger, uint32_t flags, const void *id,
                                     uint16_t number, uint32_t count,
                                     const etlring_data *data) ETLRING_NOEXCEPT;

/* Most arguments of etlring_trace_message_v. */
#define ETLRING_MAX_MESSAGE_ARGUMENTS 128

/* The same for pairs (const void *, size_t) that end with a NULL pointer, as TraceMessageVa has
 * them. More than ETLRING_MAX_MESSAGE_ARGUMENTS are an invalid parameter. The sizes must be of type
 * size_t: write sizeof or a cast, not a plain number. */
static inline etlring_status etlring_trace_message_va(const etlring_logger *logger, uint32_t flags,
                                                      const void *id, uint16_t number,
                                                      va_list arguments) ETLRING_NOEXCEPT {
    etlring_data data[ETLRING_MAX_MESSAGE_ARGUMENTS];
    uint32_t count = 0;
    for (;;) {
        const void *bytes = va_arg(arguments, const void *);
        if (!bytes) {
            return etlring_trace_message(logger, flags, id, number, count, data);
        }
        if (count == ETLRING_MAX_MESSAGE_ARGUMENTS) {
            return etlring_trace_message(logger, flags, id, number, UINT32_MAX, data);
        }
        data[count].bytes = bytes;
        data[count].size = va_arg(arguments, size_t);
        count++;
    }
}

/* As TraceMessage: etlring_trace_message_v(logger, flags, id, 10, &x, sizeof x, (void *)0). */
static inline etlring_status etlring_trace_message_v(const etlring_logger *logger, uint32_t flags,
                                                     const void *id, unsigned number,
                                                     ...) ETLRING_NOEXCEPT {
    va_list arguments;
    etlring_status status;
    va_start(arguments, number);
    status = etlring_trace_message_va(logger, flags, id, (uint16_t)number, arguments);
    va_end(arguments);
    return status;
}

/* ---- TraceEvent -------------------------------------------------------------------------- */

#define ETLRING_WNODE_USE_TIMESTAMP 0x200u
#define ETLRING_WNODE_TRACED_GUID 0x20000u /* must be set */
#define ETLRING_WNODE_LOG_WNODE 0x40000u
#define ETLRING_WNODE_USE_GUID_PTR 0x80000u
#define ETLRING_WNODE_USE_MOF_PTR 0x100000u

#define ETLRING_MAX_MOF_FIELDS 16u

/* A piece of data elsewhere, as MOF_FIELD. */
typedef struct etlring_mof_field {
    uint64_t data; /* its address */
    uint32_t length;
    uint32_t data_type;
} etlring_mof_field;

/* As EVENT_TRACE_HEADER. Data or an array of etlring_mof_field lie directly behind it. */
typedef struct etlring_event_trace_header {
    uint16_t size; /* of this and what lies behind it */
    uint16_t field_type_flags;
    uint8_t type;
    uint8_t level;
    uint16_t version;
    uint32_t thread_id;
    uint32_t process_id;
    int64_t time_stamp; /* with ETLRING_WNODE_USE_TIMESTAMP */
    union {
        etlring_guid guid;
        uint64_t guid_ptr; /* with ETLRING_WNODE_USE_GUID_PTR */
    } u;
    uint32_t client_context;
    uint32_t flags; /* ETLRING_WNODE_* */
} etlring_event_trace_header;

/* `event` must have as many bytes as its size member says. The structure is not written to. */
etlring_status etlring_trace_event(const etlring_logger *logger,
                                   const etlring_event_trace_header *event) ETLRING_NOEXCEPT;

/* ---- IIS --------------------------------------------------------------------------------- */

/* What etlring_iis.hpp is built on: the events of IIS modules in C. The structures are those of
 * httptrace.h; texts are UTF-16 and end with a zero. Answers are an HRESULT: negative numbers are
 * failures, and etlring_last_message has words for those of wrong arguments. */

typedef struct etlring_http_server etlring_http_server;

#define ETLRING_S_OK 0
#define ETLRING_HTTP_STATIC_DESCRIPTIVE_FIELDS 0x1u

/* HTTP_TRACE_EVENT_ITEM. */
typedef struct etlring_http_item {
    const uint16_t *name;
    uint32_t type;    /* HTTP_TRACE_TYPE */
    const void *data; /* NULL: no value */
    uint32_t data_size;
    const uint16_t *description; /* may be NULL */
} etlring_http_item;

/* HTTP_TRACE_EVENT. */
typedef struct etlring_http_event {
    const etlring_guid *provider;
    uint32_t area;
    const etlring_guid *area_guid;
    uint32_t event;
    const uint16_t *event_name;
    uint32_t event_version;
    uint32_t verbosity;
    const etlring_guid *activity; /* NULL: that of the request */
    const etlring_guid *related;
    uint32_t time_stamp;
    uint32_t flags; /* ETLRING_HTTP_STATIC_DESCRIPTIVE_FIELDS */
    uint32_t item_count;
    const etlring_http_item *items;
} etlring_http_event;

/* HTTP_TRACE_CONFIGURATION. */
typedef struct etlring_http_configuration {
    const etlring_guid *provider;
    uint32_t areas;
    uint32_t verbosity;
    int32_t enabled;
} etlring_http_configuration;

/* An area of a provider that is not one of IIS. */
typedef struct etlring_http_area {
    const char *name;
    uint32_t mask;
} etlring_http_area;

/* A server with the providers of IIS. Any number of threads may raise events of it. */
etlring_status etlring_http_server_create(etlring_http_server **server) ETLRING_NOEXCEPT;
/* Adds a provider with the names of its areas, or renames one: while no other thread uses the
 * server. */
etlring_status etlring_http_server_add_provider(etlring_http_server *server,
                                                const etlring_guid *provider, const char *name,
                                                uint32_t count,
                                                const etlring_http_area *areas) ETLRING_NOEXCEPT;
void etlring_http_server_free(etlring_http_server *server) ETLRING_NOEXCEPT;

/* Raises an event of the request `activity`; of none, if that is NULL. S_OK also if nobody wants it:
 * then the event is not looked at. */
int32_t etlring_http_raise(const etlring_http_server *server, const etlring_guid *activity,
                           const etlring_http_event *event) ETLRING_NOEXCEPT;
/* GetTraceConfiguration. */
int32_t etlring_http_get_configuration(const etlring_http_server *server,
                                       etlring_http_configuration *configuration) ETLRING_NOEXCEPT;
/* SetTraceConfiguration: the session is who wants the events. */
int32_t etlring_http_set_configuration(const etlring_http_server *server,
                                       const etlring_session *session, uint32_t count,
                                       const etlring_http_configuration *configurations)
    ETLRING_NOEXCEPT;
/* QuickTrace by the module of this name; data2 may be NULL. */
int32_t etlring_http_quick_trace(const etlring_http_server *server, const etlring_guid *activity,
                                 const char *module, const uint16_t *data1, const uint16_t *data2,
                                 int32_t last_error, uint8_t level) ETLRING_NOEXCEPT;

/* ---- reading ----------------------------------------------------------------------------- */

typedef struct etlring_reader etlring_reader;

#define ETLRING_ORDER_TIME 0u
#define ETLRING_ORDER_FILE 1u

#define ETLRING_HEADER_UNKNOWN 0u
#define ETLRING_HEADER_EVENT 1u
#define ETLRING_HEADER_CLASSIC 2u
#define ETLRING_HEADER_INSTANCE 3u
#define ETLRING_HEADER_SYSTEM 4u
#define ETLRING_HEADER_COMPACT 5u
#define ETLRING_HEADER_PERFINFO 6u
#define ETLRING_HEADER_MESSAGE 7u

/* Bits of etlring_record.present: members that are zero because the record has no such thing do not
 * have theirs set. */
#define ETLRING_HAS_TICKS 0x1u
#define ETLRING_HAS_PROCESS_ID 0x2u
#define ETLRING_HAS_THREAD_ID 0x4u
#define ETLRING_HAS_PROVIDER 0x8u
#define ETLRING_HAS_ID 0x10u
#define ETLRING_HAS_VERSION 0x20u
#define ETLRING_HAS_LEVEL 0x40u
#define ETLRING_HAS_OPCODE 0x80u
#define ETLRING_HAS_DESCRIPTOR 0x100u /* channel, task, keyword */
#define ETLRING_HAS_ACTIVITY 0x200u
#define ETLRING_HAS_RELATED 0x400u

typedef struct etlring_record {
    size_t size;         /* sizeof(etlring_record), set by the caller */
    const void *payload; /* what the provider wrote; until the reader's next call */
    size_t payload_size;
    const void *bytes; /* the whole record as it lies in the log; as long */
    size_t bytes_size;
    uint64_t ticks;     /* raw clock of the session */
    int64_t file_time;  /* 100 ns since 1601, UTC; of the buffer where the record has no ticks */
    uint64_t keyword;
    etlring_guid provider; /* or the class of a classic event, or the GUID of a message */
    etlring_guid activity;
    etlring_guid related;
    uint32_t present; /* ETLRING_HAS_* */
    uint32_t header;  /* ETLRING_HEADER_* */
    uint32_t process_id;
    uint32_t thread_id;
    uint16_t lane; /* the processor, in logs of Windows */
    uint16_t id;   /* of the event; number of a message */
    uint16_t version;
    uint16_t task;
    uint8_t level;
    uint8_t opcode; /* type of a classic event */
    uint8_t channel;
    uint8_t bits; /* of the writer's pointers: 32, 64 or 0 */
} etlring_record;

/* Opens a log of this library or of Windows, and the ring beside it if a session runs or was
 * killed. */
etlring_status etlring_reader_open(const char *path, uint32_t order,
                                   etlring_reader **reader) ETLRING_NOEXCEPT;
/* The next record, or ETLRING_ERROR_NO_MORE_ITEMS. With ETLRING_ERROR_FILE_CORRUPT nothing is in
 * *record, but call on: records behind the damage still follow. */
etlring_status etlring_reader_next(etlring_reader *reader, etlring_record *record) ETLRING_NOEXCEPT;
void etlring_reader_close(etlring_reader *reader) ETLRING_NOEXCEPT;

/* ---- sessions of other processes --------------------------------------------------------- */

/* Sessions that were started with ETLRING_SESSION_CONTROLLABLE, or by `etlring start`, by the same
 * user; on Unix. */

typedef struct etlring_client etlring_client;
typedef struct etlring_consumer etlring_consumer;

#define ETLRING_FOUND_RUNNING 0u
#define ETLRING_FOUND_DEAD 1u     /* its process ended without ending it; recover its log */
#define ETLRING_FOUND_SILENT 2u   /* it did not answer within a second */
#define ETLRING_FOUND_UNUSABLE 3u /* something else lies there */

#define ETLRING_WAIT_FOREVER UINT32_MAX

/* An entry of the directory of sessions. */
typedef struct etlring_found {
    size_t size;          /* set by the library */
    const char *name;
    const char *log_file; /* NULL if it has none, or that is not known */
    uint32_t state;       /* ETLRING_FOUND_* */
    uint32_t process_id;  /* 0 if that is not known */
} etlring_found;

/* Called for each of them; `found` lives for the call. */
typedef void (*etlring_found_callback)(const etlring_found *found, void *context);

/* A session at one moment. */
typedef struct etlring_session_properties {
    size_t size; /* sizeof(etlring_session_properties), set by the caller */
    uint64_t id; /* number of the session in its process */
    int64_t start_time; /* 100 ns since 1601, UTC */
    uint64_t real_time_buffers_lost; /* pieces of buffers that consumers were too slow for */
    uint32_t process_id;
    uint32_t mode; /* EVENT_TRACE_* */
    uint32_t buffer_size;
    uint32_t minimum_buffers;
    uint32_t maximum_buffers;
    uint32_t flush_interval_ms; /* 0: only when full */
    uint32_t consumers;
    uint32_t providers_enabled;
    uint32_t processes_attached;
    uint32_t reserved;
} etlring_session_properties;

/* What to change of a session; what is NULL or zero stays. */
typedef struct etlring_session_update {
    size_t size;          /* sizeof(etlring_session_update) */
    const char *log_file; /* go on in this one */
    uint32_t flush_interval_ms; /* or ETLRING_FLUSH_WHEN_FULL */
    uint32_t maximum_buffers;   /* more than there are */
} etlring_session_update;

/* Calls back for each session of the user, by name, before it returns. */
etlring_status etlring_session_list(etlring_found_callback callback,
                                    void *context) ETLRING_NOEXCEPT;

/* The session of this name, whatever the case of its letters. Any number of threads may use it. */
etlring_status etlring_client_connect(const char *name, etlring_client **client) ETLRING_NOEXCEPT;
void etlring_client_free(etlring_client *client) ETLRING_NOEXCEPT;
/* Either structure may be NULL. */
etlring_status etlring_client_query(const etlring_client *client,
                                    etlring_session_properties *properties,
                                    etlring_session_statistics *statistics) ETLRING_NOEXCEPT;
/* These do what etlring_session_* of the name do there. What the session itself refuses has the
 * number that it answers. A relative path is taken against this process's directory. */
etlring_status etlring_client_flush(const etlring_client *client) ETLRING_NOEXCEPT;
etlring_status etlring_client_snapshot(const etlring_client *client,
                                       const char *path) ETLRING_NOEXCEPT;
etlring_status etlring_client_enable(const etlring_client *client, const etlring_guid *provider,
                                     uint8_t level, uint64_t any_keyword,
                                     uint64_t all_keywords) ETLRING_NOEXCEPT;
etlring_status etlring_client_disable(const etlring_client *client,
                                      const etlring_guid *provider) ETLRING_NOEXCEPT;
etlring_status etlring_client_update(const etlring_client *client,
                                     const etlring_session_update *update) ETLRING_NOEXCEPT;
/* Waits until the log is complete. The counters of the end may be NULL. */
etlring_status etlring_client_stop(const etlring_client *client,
                                   etlring_session_statistics *statistics) ETLRING_NOEXCEPT;

/* Follows the session of this name from now on, with a log or without. Of a consumer that does not
 * read up to `capacity` bytes wait, 0 for 8 MiB. One thread at a time. */
etlring_status etlring_consumer_open(const char *name, uint32_t capacity,
                                     etlring_consumer **consumer) ETLRING_NOEXCEPT;
/* The next record, whose bytes live until the consumer's next call. With ETLRING_ERROR_TIMEOUT none
 * came in time, with ETLRING_ERROR_BUFFER_OVERFLOW some were missed here, and with
 * ETLRING_ERROR_FILE_CORRUPT one is damaged: call on. ETLRING_ERROR_NO_MORE_ITEMS is the end of the
 * session; with any other error its process has died, or sends nonsense. */
etlring_status etlring_consumer_next(etlring_consumer *consumer, uint32_t timeout_ms,
                                     etlring_record *record) ETLRING_NOEXCEPT;
/* Events missed so far; 0 for NULL. */
uint64_t etlring_consumer_missed(const etlring_consumer *consumer) ETLRING_NOEXCEPT;
void etlring_consumer_close(etlring_consumer *consumer) ETLRING_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif
