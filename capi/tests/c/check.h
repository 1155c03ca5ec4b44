/* What the programs here test with. */
#ifndef CHECK_H
#define CHECK_H

#include <etlring.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n  %s\n", __FILE__, __LINE__, #condition,                   \
                    etlring_last_message());                                                       \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* The call answers so, and its message has these words. */
#define ANSWERS(status, words, call)                                                               \
    do {                                                                                           \
        etlring_status answer_ = (call);                                                           \
        const char *message_ = etlring_last_message();                                             \
        if (answer_ != (status) || !strstr(message_, (words))) {                                   \
            fprintf(stderr, "%s:%d: %s\n  %s: %s\n", __FILE__, __LINE__, #call,                    \
                    etlring_status_name(answer_), message_);                                       \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define OK(call) CHECK((call) == ETLRING_OK)

static inline int same_guid(const etlring_guid *a, const etlring_guid *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

#endif
