/* The tracing interface of IIS modules, with its own names and layout.
 *
 * Characters of LPCWSTR have 16 bits: char16_t, so u"text"; or wchar_t where that has 16 bits
 * (Windows, and -fshort-wchar), so that L"text" is what it is there. On Windows the types of
 * windows.h are used.
 *
 * Source: Microsoft, the pages of httptrace.h and httpserv.h.
 */
#ifndef ETLRING_IIS_HPP
#define ETLRING_IIS_HPP

#include "etlring.hpp"

#include <cstddef>

#ifdef _WIN32
#include <windows.h>
#else

using BYTE = uint8_t;
using UCHAR = uint8_t;
using USHORT = uint16_t;
using ULONG = uint32_t;
using DWORD = uint32_t;
using BOOL = int32_t;
using HRESULT = int32_t;
using PBYTE = BYTE *;
using GUID = etlring_guid;
using LPCGUID = const GUID *;
using VOID = void;
using PVOID = void *;
#if defined(__SIZEOF_WCHAR_T__) && __SIZEOF_WCHAR_T__ == 2
using WCHAR = wchar_t;
#else
using WCHAR = char16_t;
#endif
using LPCWSTR = const WCHAR *;
using PCWSTR = const WCHAR *;
using LPCSTR = const char *;

#ifndef FALSE
#define FALSE 0
#endif
#ifndef TRUE
#define TRUE 1
#endif
#ifndef IN
#define IN
#endif
#ifndef OUT
#define OUT
#endif
#ifndef S_OK
#define S_OK ((HRESULT)0)
#define E_FAIL ((HRESULT)0x80004005)
#define E_OUTOFMEMORY ((HRESULT)0x8007000E)
#define SUCCEEDED(result) ((HRESULT)(result) >= 0)
#define FAILED(result) ((HRESULT)(result) < 0)
#endif
#endif

static_assert(sizeof(WCHAR) == 2, "characters of IIS have 16 bits");
static_assert(sizeof(GUID) == 16 && sizeof(DWORD) == 4 && sizeof(BOOL) == 4, "as on Windows");

using HTTP_MODULE_ID = void *;

/* Numbers of VARIANT for the types of items. */
enum HTTP_TRACE_TYPE {
    HTTP_TRACE_TYPE_BYTE = 17,
    HTTP_TRACE_TYPE_USHORT = 18,
    HTTP_TRACE_TYPE_ULONG = 19,
    HTTP_TRACE_TYPE_ULONGLONG = 21,
    HTTP_TRACE_TYPE_CHAR = 16,
    HTTP_TRACE_TYPE_SHORT = 2,
    HTTP_TRACE_TYPE_LONG = 3,
    HTTP_TRACE_TYPE_LONGLONG = 20,
    HTTP_TRACE_TYPE_LPCWSTR = 31,
    HTTP_TRACE_TYPE_LPCSTR = 30,
    HTTP_TRACE_TYPE_LPCGUID = 72,
    HTTP_TRACE_TYPE_BOOL = 11
};

/* Names and descriptions live as long as the process and never change. */
#define HTTP_TRACE_EVENT_FLAG_STATIC_DESCRIPTIVE_FIELDS 0x01

#define HTTP_TRACE_LEVEL_START 6
#define HTTP_TRACE_LEVEL_END 7

struct HTTP_TRACE_EVENT_ITEM {
    LPCWSTR pszName;
    HTTP_TRACE_TYPE dwDataType;
    PBYTE pbData;
    DWORD cbData;
    LPCWSTR pszDataDescription;
};

struct HTTP_TRACE_EVENT {
    LPCGUID pProviderGuid;
    DWORD dwArea;
    LPCGUID pAreaGuid;
    DWORD dwEvent;
    LPCWSTR pszEventName;
    DWORD dwEventVersion;
    DWORD dwVerbosity;
    LPCGUID pActivityGuid;
    LPCGUID pRelatedActivityGuid;
    DWORD dwTimeStamp;
    DWORD dwFlags;
    DWORD cEventItems;
    HTTP_TRACE_EVENT_ITEM *pEventItems;
};

struct HTTP_TRACE_CONFIGURATION {
    LPCGUID pProviderGuid;
    DWORD dwAreas;
    DWORD dwVerbosity;
    BOOL fProviderEnabled;
};

/* The documented order of members, at the offsets that it gives. */
#define ETLRING_AT(type, member, offset32, offset64)                                               \
    static_assert(offsetof(type, member) == (sizeof(void *) == 8 ? (offset64) : (offset32)),       \
                  #type "." #member)
static_assert(sizeof(HTTP_TRACE_TYPE) == 4, "HTTP_TRACE_TYPE");
static_assert(sizeof(HTTP_TRACE_EVENT_ITEM) == (sizeof(void *) == 8 ? 40 : 20), "item");
ETLRING_AT(HTTP_TRACE_EVENT_ITEM, pszName, 0, 0);
ETLRING_AT(HTTP_TRACE_EVENT_ITEM, dwDataType, 4, 8);
ETLRING_AT(HTTP_TRACE_EVENT_ITEM, pbData, 8, 16);
ETLRING_AT(HTTP_TRACE_EVENT_ITEM, cbData, 12, 24);
ETLRING_AT(HTTP_TRACE_EVENT_ITEM, pszDataDescription, 16, 32);
static_assert(sizeof(HTTP_TRACE_EVENT) == (sizeof(void *) == 8 ? 88 : 52), "event");
ETLRING_AT(HTTP_TRACE_EVENT, pProviderGuid, 0, 0);
ETLRING_AT(HTTP_TRACE_EVENT, dwArea, 4, 8);
ETLRING_AT(HTTP_TRACE_EVENT, pAreaGuid, 8, 16);
ETLRING_AT(HTTP_TRACE_EVENT, dwEvent, 12, 24);
ETLRING_AT(HTTP_TRACE_EVENT, pszEventName, 16, 32);
ETLRING_AT(HTTP_TRACE_EVENT, dwEventVersion, 20, 40);
ETLRING_AT(HTTP_TRACE_EVENT, dwVerbosity, 24, 44);
ETLRING_AT(HTTP_TRACE_EVENT, pActivityGuid, 28, 48);
ETLRING_AT(HTTP_TRACE_EVENT, pRelatedActivityGuid, 32, 56);
ETLRING_AT(HTTP_TRACE_EVENT, dwTimeStamp, 36, 64);
ETLRING_AT(HTTP_TRACE_EVENT, dwFlags, 40, 68);
ETLRING_AT(HTTP_TRACE_EVENT, cEventItems, 44, 72);
ETLRING_AT(HTTP_TRACE_EVENT, pEventItems, 48, 80);
static_assert(sizeof(HTTP_TRACE_CONFIGURATION) == (sizeof(void *) == 8 ? 24 : 16), "configuration");
ETLRING_AT(HTTP_TRACE_CONFIGURATION, dwAreas, 4, 8);
ETLRING_AT(HTTP_TRACE_CONFIGURATION, dwVerbosity, 8, 12);
ETLRING_AT(HTTP_TRACE_CONFIGURATION, fProviderEnabled, 12, 16);
#undef ETLRING_AT

/* Raises the events of one request, or of the server. */
class IHttpTraceContext {
  public:
    virtual HRESULT GetTraceConfiguration(IN OUT HTTP_TRACE_CONFIGURATION *pHttpTraceConfiguration) = 0;
    virtual HRESULT SetTraceConfiguration(IN HTTP_MODULE_ID moduleId,
                                          IN HTTP_TRACE_CONFIGURATION *pHttpTraceConfiguration,
                                          IN DWORD cHttpTraceConfiguration = 1) = 0;
    virtual HRESULT RaiseTraceEvent(IN HTTP_TRACE_EVENT *pTraceEvent) = 0;
    virtual LPCGUID GetTraceActivityId() = 0;
    virtual HRESULT QuickTrace(IN PCWSTR pszData1, IN PCWSTR pszData2 = nullptr,
                               IN HRESULT hrLastError = S_OK, IN UCHAR Level = 4) = 0;

  protected:
    /* Nobody deletes one through this: the request owns it. */
    ~IHttpTraceContext() = default;
};

/* ---- contexts ---------------------------------------------------------------------------- */

/* The types of IIS are those of etlring.h by other names. */
static_assert(sizeof(HTTP_TRACE_EVENT) == sizeof(etlring_http_event), "event");
static_assert(sizeof(HTTP_TRACE_EVENT_ITEM) == sizeof(etlring_http_item), "item");
static_assert(offsetof(HTTP_TRACE_EVENT, pEventItems) == offsetof(etlring_http_event, items), "");
static_assert(offsetof(HTTP_TRACE_EVENT, dwFlags) == offsetof(etlring_http_event, flags), "");
static_assert(offsetof(HTTP_TRACE_EVENT_ITEM, cbData) == offsetof(etlring_http_item, data_size),
              "");
static_assert(offsetof(HTTP_TRACE_EVENT_ITEM, pszDataDescription) ==
                  offsetof(etlring_http_item, description),
              "");

namespace etlring {

/* A server with the providers of IIS: where contexts come from. */
class http_server {
  public:
    http_server() {
        etlring_http_server *made = nullptr;
        check(etlring_http_server_create(&made));
        owned_.reset(made);
    }
    /* Adds a provider with the names of its areas: while no other thread uses the server. */
    void add_provider(const GUID &provider, const char *name,
                      std::initializer_list<etlring_http_area> areas) {
        check(etlring_http_server_add_provider(
            owned_.get(), reinterpret_cast<const etlring_guid *>(&provider), name,
            static_cast<uint32_t>(areas.size()), areas.begin()));
    }
    const etlring_http_server *get() const noexcept { return owned_.get(); }

  private:
    struct free {
        void operator()(etlring_http_server *server) const noexcept {
            etlring_http_server_free(server);
        }
    };
    std::unique_ptr<etlring_http_server, free> owned_;
};

/* The id of a module whose events go into this session. */
inline HTTP_MODULE_ID module_id(const session &wants) noexcept {
    return const_cast<etlring_session *>(wants.get());
}

/* The context of one request in one module, or of the server. Server and name must outlive it. */
class http_trace_context final : public IHttpTraceContext {
  public:
    http_trace_context(const http_server &server, const GUID &activity, const char *module) noexcept
        : server_(server.get()), module_(module), activity_(activity), of_request_(true) {}
    http_trace_context(const http_server &server, const char *module) noexcept
        : server_(server.get()), module_(module), activity_{}, of_request_(false) {}

    HRESULT GetTraceConfiguration(HTTP_TRACE_CONFIGURATION *configuration) noexcept override {
        if (configuration == nullptr) {
            return etlring_http_get_configuration(server_, nullptr);
        }
        etlring_http_configuration own = convert(*configuration);
        const HRESULT result = etlring_http_get_configuration(server_, &own);
        configuration->dwAreas = own.areas;
        configuration->dwVerbosity = own.verbosity;
        configuration->fProviderEnabled = own.enabled;
        return result;
    }
    HRESULT SetTraceConfiguration(HTTP_MODULE_ID module, HTTP_TRACE_CONFIGURATION *configurations,
                                  DWORD count = 1) noexcept override {
        const auto *wants = static_cast<const etlring_session *>(module);
        if (configurations == nullptr) {
            return etlring_http_set_configuration(server_, wants, count, nullptr);
        }
        for (DWORD at = 0; at < count; at++) {
            const etlring_http_configuration own = convert(configurations[at]);
            const HRESULT result = etlring_http_set_configuration(server_, wants, 1, &own);
            if (result < 0) {
                return result;
            }
        }
        return S_OK;
    }
    HRESULT RaiseTraceEvent(HTTP_TRACE_EVENT *event) noexcept override {
        return etlring_http_raise(server_, activity(),
                                  reinterpret_cast<const etlring_http_event *>(event));
    }
    LPCGUID GetTraceActivityId() noexcept override { return of_request_ ? &activity_ : nullptr; }
    HRESULT QuickTrace(PCWSTR data1, PCWSTR data2 = nullptr, HRESULT last_error = S_OK,
                       UCHAR level = 4) noexcept override {
        return etlring_http_quick_trace(server_, activity(), module_, units(data1), units(data2),
                                        last_error, level);
    }

  private:
    static etlring_http_configuration convert(const HTTP_TRACE_CONFIGURATION &from) noexcept {
        return {reinterpret_cast<const etlring_guid *>(from.pProviderGuid), from.dwAreas,
                from.dwVerbosity, from.fProviderEnabled};
    }
    static const uint16_t *units(PCWSTR text) noexcept {
        return reinterpret_cast<const uint16_t *>(text);
    }
    const etlring_guid *activity() const noexcept {
        return of_request_ ? reinterpret_cast<const etlring_guid *>(&activity_) : nullptr;
    }

    const etlring_http_server *server_;
    const char *module_;
    GUID activity_;
    bool of_request_;
};

} // namespace etlring

#endif
