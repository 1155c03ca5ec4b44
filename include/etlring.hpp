/* etlring for C++17: owners over etlring.h, and the tracing types of IIS modules.
 *
 *   etlring::session   starts a recording, stops it when it goes away
 *   etlring::provider  registers, unregisters when it goes away
 *   etlring::reader    the records of a log
 *   etlring::client    a session of another process, by its name
 *   etlring::consumer  its events, while they are recorded
 *
 * What makes or controls something throws etlring::error; what writes does not throw, and answers
 * the number that C has. Owners can be moved, not copied; a moved-from one is empty, and its calls
 * answer as C does to NULL.
 *
 * The types of IIS (HTTP_TRACE_EVENT, IHttpTraceContext, ...) are in etlring_iis.hpp. They stand in
 * the global namespace, as module code expects; define ETLRING_NO_IIS_NAMES to do without them.
 */
#ifndef ETLRING_HPP
#define ETLRING_HPP

#include "etlring.h"

#include <array>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace etlring {

/* A call was refused. */
class error : public std::runtime_error {
  public:
    error(etlring_status status, const std::string &what)
        : std::runtime_error(what + " (" + etlring_status_name(status) + ")"), status_(status) {}
    etlring_status status() const noexcept { return status_; }

  private:
    etlring_status status_;
};

/* Throws what the last call of this thread answered, unless that is ETLRING_OK. */
inline void check(etlring_status status) {
    if (status != ETLRING_OK) {
        throw error(status, etlring_last_message());
    }
}

/* The bytes of a value. It must live until the event is written. */
template <class T> etlring_data bytes_of(const T &value) noexcept {
    static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>,
                  "the bytes of this type mean nothing to a reader");
    return {&value, sizeof value};
}
inline etlring_data bytes_of(std::string_view text) noexcept { return {text.data(), text.size()}; }
inline etlring_data bytes_of(std::u16string_view text) noexcept {
    return {text.data(), text.size() * sizeof(char16_t)};
}
/* A temporary string would be gone before it is written. */
etlring_data bytes_of(std::string &&) = delete;

/* A named value for provider::write_fields. It must live until the event is written. */
template <class T> etlring_field field(const char *name, const T &value) noexcept {
    using V = std::remove_cv_t<T>;
    uint32_t type = 0;
    if constexpr (std::is_same_v<V, etlring_guid>) {
        type = ETLRING_TYPE_GUID;
    } else if constexpr (std::is_same_v<V, float>) {
        type = ETLRING_TYPE_FLOAT;
    } else if constexpr (std::is_same_v<V, double>) {
        type = ETLRING_TYPE_DOUBLE;
    } else {
        static_assert(std::is_integral_v<V> && !std::is_same_v<V, bool>,
                      "a number, a GUID or a text; for bool an int with ETLRING_TYPE_BOOL32");
        constexpr bool s = std::is_signed_v<V>;
        type = sizeof(V) == 1   ? (s ? ETLRING_TYPE_INT8 : ETLRING_TYPE_UINT8)
               : sizeof(V) == 2 ? (s ? ETLRING_TYPE_INT16 : ETLRING_TYPE_UINT16)
               : sizeof(V) == 4 ? (s ? ETLRING_TYPE_INT32 : ETLRING_TYPE_UINT32)
                                : (s ? ETLRING_TYPE_INT64 : ETLRING_TYPE_UINT64);
    }
    return {name, &value, sizeof value, type, 0};
}
inline etlring_field field(const char *name, std::string_view text) noexcept {
    return {name, text.data(), text.size(), ETLRING_TYPE_UTF8, 0};
}
inline etlring_field field(const char *name, const char *text) noexcept {
    return field(name, std::string_view(text));
}
inline etlring_field field(const char *name, std::u16string_view text) noexcept {
    return {name, text.data(), text.size() * sizeof(char16_t), ETLRING_TYPE_UTF16, 0};
}
inline etlring_field field(const char *name, const std::string &text) noexcept {
    return field(name, std::string_view(text));
}

/* Settings of a session; those that are not set have their default. */
struct session_options : etlring_session_options {
    explicit session_options(const char *session_name) noexcept : etlring_session_options{} {
        size = sizeof(etlring_session_options);
        name = session_name;
    }
};

class session {
  public:
    session() noexcept = default;
    explicit session(const etlring_session_options &options) {
        etlring_session *made = nullptr;
        check(etlring_session_start(&options, &made));
        owned_.reset(made);
    }

    /* This process's part in the session of another one. */
    static session attach(const char *name, uint32_t maximum_buffers = 0) {
        session made;
        etlring_session *attached = nullptr;
        check(etlring_session_attach(name, maximum_buffers, &attached));
        made.owned_.reset(attached);
        return made;
    }
    /* The one that the environment asks for; empty if it asks for none. */
    static session of_environment() {
        session made;
        etlring_session *found = nullptr;
        check(etlring_session_default(&found));
        made.owned_.reset(found);
        return made;
    }
    explicit operator bool() const noexcept { return static_cast<bool>(owned_); }

    void enable(const etlring_guid &provider, uint8_t level = 0, uint64_t any = 0,
                uint64_t all = 0) const {
        check(etlring_session_enable(get(), &provider, level, any, all));
    }
    void disable(const etlring_guid &provider) const {
        check(etlring_session_disable(get(), &provider));
    }
    void flush() const { check(etlring_session_flush(get())); }
    void snapshot(const char *path) const { check(etlring_session_snapshot(get(), path)); }
    etlring_session_statistics statistics() const {
        etlring_session_statistics found{};
        found.size = sizeof found;
        check(etlring_session_query(get(), &found));
        return found;
    }
    /* Ends the log, and tells if it is not whole; the destructor cannot. */
    void stop() const { check(etlring_session_stop(get())); }

    uint64_t id() const noexcept { return etlring_session_id(get()); }
    const etlring_logger *logger() const noexcept { return etlring_session_logger(get()); }
    const etlring_session *get() const noexcept { return owned_.get(); }

  private:
    struct free {
        void operator()(etlring_session *session) const noexcept { etlring_session_free(session); }
    };
    std::unique_ptr<etlring_session, free> owned_;
};

class provider {
  public:
    using callback = std::function<void(const etlring_change &)>;

    provider() noexcept = default;
    provider(const etlring_guid &guid, const char *name) {
        etlring_provider *made = nullptr;
        check(etlring_provider_register(&guid, name, nullptr, nullptr, nullptr, &made));
        owned_.reset(made);
    }
    /* Told of each change of what sessions want. An exception of it ends the program. It may still
     * be running on another thread when the provider goes away; it is freed when it is not. */
    provider(const etlring_guid &guid, const char *name, callback told) {
        auto context = std::make_unique<callback>(std::move(told));
        etlring_provider *made = nullptr;
        check(etlring_provider_register(&guid, name, tell, context.get(), release, &made));
        owned_.reset(made);
        context.release();
    }

    bool enabled(uint8_t level, uint64_t keyword = 0) const noexcept {
        return etlring_provider_enabled(get(), level, keyword) != 0;
    }
    /* The payload are the bytes of all values. */
    template <class... Values>
    etlring_status write(const etlring_event_descriptor &event, const Values &...values) const noexcept {
        if constexpr (sizeof...(Values) == 0) {
            return etlring_event_write(get(), &event, 0, nullptr);
        } else {
            const etlring_data data[] = {bytes_of(values)...};
            return etlring_event_write(get(), &event, uint32_t{sizeof...(Values)}, data);
        }
    }
    /* An event that brings its names: write_fields(event, "Sold", {field("price", price)}). */
    etlring_status write_fields(const etlring_event_descriptor &event, const char *name,
                                std::initializer_list<etlring_field> fields) const noexcept {
        const auto count = static_cast<uint32_t>(fields.size());
        return etlring_event_write_fields(get(), &event, name, count, fields.begin());
    }
    etlring_status write_string(uint8_t level, uint64_t keyword, const char *text) const noexcept {
        return etlring_event_write_string(get(), level, keyword, text);
    }
    const etlring_provider *get() const noexcept { return owned_.get(); }

  private:
    static void tell(const etlring_change *change, void *context) noexcept {
        (*static_cast<callback *>(context))(*change);
    }
    static void release(void *context) noexcept { delete static_cast<callback *>(context); }
    struct free {
        void operator()(etlring_provider *one) const noexcept { etlring_provider_unregister(one); }
    };
    std::unique_ptr<etlring_provider, free> owned_;
};

/* Makes an activity the thread's until it goes away. */
class activity_scope {
  public:
    explicit activity_scope(const etlring_guid &activity) noexcept : before_(activity) {
        etlring_activity_control(ETLRING_ACTIVITY_GET_SET, &before_);
    }
    activity_scope(const activity_scope &) = delete;
    activity_scope &operator=(const activity_scope &) = delete;
    ~activity_scope() { etlring_activity_control(ETLRING_ACTIVITY_SET, &before_); }

  private:
    etlring_guid before_;
};

/* A new activity id. */
inline etlring_guid new_activity() noexcept {
    etlring_guid id{};
    etlring_activity_control(ETLRING_ACTIVITY_CREATE, &id);
    return id;
}

class reader {
  public:
    explicit reader(const char *path, uint32_t order = ETLRING_ORDER_TIME) {
        etlring_reader *made = nullptr;
        check(etlring_reader_open(path, order, &made));
        owned_.reset(made);
        record_.size = sizeof record_;
    }
    /* The next record, which lives until the next call; NULL behind the last one. Throws where the
     * log is damaged; records behind the damage follow if it is called again. */
    const etlring_record *next() {
        const etlring_status status = etlring_reader_next(owned_.get(), &record_);
        if (status == ETLRING_ERROR_NO_MORE_ITEMS) {
            return nullptr;
        }
        check(status);
        return &record_;
    }

  private:
    struct free {
        void operator()(etlring_reader *reader) const noexcept { etlring_reader_close(reader); }
    };
    std::unique_ptr<etlring_reader, free> owned_;
    etlring_record record_{};
};

class client {
  public:
    explicit client(const char *name) {
        etlring_client *made = nullptr;
        check(etlring_client_connect(name, &made));
        owned_.reset(made);
    }

    void flush() const { check(etlring_client_flush(get())); }
    void snapshot(const char *path) const { check(etlring_client_snapshot(get(), path)); }
    void enable(const etlring_guid &provider, uint8_t level = 0, uint64_t any = 0,
                uint64_t all = 0) const {
        check(etlring_client_enable(get(), &provider, level, any, all));
    }
    void disable(const etlring_guid &provider) const {
        check(etlring_client_disable(get(), &provider));
    }
    void update(const etlring_session_update &update) const {
        check(etlring_client_update(get(), &update));
    }
    etlring_session_properties properties() const {
        etlring_session_properties found{};
        found.size = sizeof found;
        check(etlring_client_query(get(), &found, nullptr));
        return found;
    }
    etlring_session_statistics statistics() const {
        etlring_session_statistics found{};
        found.size = sizeof found;
        check(etlring_client_query(get(), nullptr, &found));
        return found;
    }
    void stop() const { check(etlring_client_stop(get(), nullptr)); }
    const etlring_client *get() const noexcept { return owned_.get(); }

  private:
    struct free {
        void operator()(etlring_client *client) const noexcept { etlring_client_free(client); }
    };
    std::unique_ptr<etlring_client, free> owned_;
};

class consumer {
  public:
    explicit consumer(const char *name, uint32_t capacity = 0) {
        etlring_consumer *made = nullptr;
        check(etlring_consumer_open(name, capacity, &made));
        owned_.reset(made);
        record_.size = sizeof record_;
    }
    /* The next record, which lives until the next call; NULL when the session has stopped and all
     * was read. Throws if nothing comes in time, where something was missed, and at the end if the
     * session's process has died. */
    const etlring_record *next(uint32_t timeout_ms = ETLRING_WAIT_FOREVER) {
        const etlring_status status = etlring_consumer_next(owned_.get(), timeout_ms, &record_);
        if (status == ETLRING_ERROR_NO_MORE_ITEMS) {
            return nullptr;
        }
        check(status);
        return &record_;
    }
    uint64_t missed() const noexcept { return etlring_consumer_missed(owned_.get()); }

  private:
    struct free {
        void operator()(etlring_consumer *one) const noexcept { etlring_consumer_close(one); }
    };
    std::unique_ptr<etlring_consumer, free> owned_;
    etlring_record record_{};
};

} // namespace etlring

#ifndef ETLRING_NO_IIS_NAMES
#include "etlring_iis.hpp"
#endif

#endif
