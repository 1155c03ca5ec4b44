/* A module of IIS that traces, unchanged but for the strings of 16-bit characters.
 *
 *   g++ -std=c++17 iis_module.cpp $(pkg-config --cflags --libs etlring) -o iis_module
 *   ./iis_module requests.etl && etlring dump --fields requests.etl
 *
 * Compiled with -fshort-wchar, L"text" is of 16-bit characters too and nothing has to change.
 */
#include <etlring.hpp>

#include <cstdio>

#if __SIZEOF_WCHAR_T__ == 2
#define W(text) L##text
#else
#define W(text) u##text
#endif

/* ---- what a module has, as it is generated for a provider of its own ----------------------- */

namespace {

const GUID PROVIDER = {0x7f3d2c41, 0x0b9e, 0x4a52, {0x8d, 0x11, 0x35, 0xc2, 0x9a, 0x64, 0xe0, 0x5b}};
const GUID AREA = {0x1c8e6f02, 0x5d3a, 0x4b97, {0xa4, 0x70, 0x92, 0x1e, 0x0f, 0xb3, 0x6d, 0x28}};
constexpr DWORD AREA_REWRITE = 0x20;

class REWRITE_DONE {
  public:
    static HRESULT RaiseEvent(IHttpTraceContext *pHttpTraceContext, LPCGUID pContextId, LPCWSTR pRule,
                              LPCSTR pMethod, ULONG Matches, BOOL fRedirect) {
        HTTP_TRACE_EVENT Event;
        HTTP_TRACE_EVENT_ITEM Items[5];

        Event.pProviderGuid = &PROVIDER;
        Event.dwArea = AREA_REWRITE;
        Event.pAreaGuid = &AREA;
        Event.dwEvent = 3;
        Event.pszEventName = W("REWRITE_DONE");
        Event.dwEventVersion = 1;
        Event.dwVerbosity = 4;
        Event.pActivityGuid = nullptr;
        Event.pRelatedActivityGuid = nullptr;
        Event.dwTimeStamp = 0;
        Event.dwFlags = HTTP_TRACE_EVENT_FLAG_STATIC_DESCRIPTIVE_FIELDS;
        Event.cEventItems = 5;
        Event.pEventItems = Items;

        Items[0] = {W("ContextId"), HTTP_TRACE_TYPE_LPCGUID, (PBYTE)pContextId, 16, nullptr};
        Items[1] = {W("Rule"), HTTP_TRACE_TYPE_LPCWSTR, (PBYTE)pRule, Bytes(pRule), nullptr};
        Items[2] = {W("Method"), HTTP_TRACE_TYPE_LPCSTR, (PBYTE)pMethod,
                    pMethod ? (DWORD)strlen(pMethod) + 1 : 0, nullptr};
        Items[3] = {W("Matches"), HTTP_TRACE_TYPE_ULONG, (PBYTE)&Matches, 4, nullptr};
        Items[4] = {W("fRedirect"), HTTP_TRACE_TYPE_BOOL, (PBYTE)&fRedirect, 4,
                    fRedirect ? W("redirected") : W("rewritten")};
        return pHttpTraceContext->RaiseTraceEvent(&Event);
    }

    static BOOL IsEnabled(IHttpTraceContext *pHttpTraceContext) {
        HTTP_TRACE_CONFIGURATION Configuration;
        Configuration.pProviderGuid = &PROVIDER;
        HRESULT hr = pHttpTraceContext->GetTraceConfiguration(&Configuration);
        return SUCCEEDED(hr) && Configuration.fProviderEnabled &&
               (Configuration.dwAreas & AREA_REWRITE) != 0 && Configuration.dwVerbosity >= 4;
    }

  private:
    static DWORD Bytes(LPCWSTR text) {
        DWORD length = 0;
        while (text && text[length]) {
            length++;
        }
        return text ? 2 * (length + 1) : 0;
    }
};

void OnBeginRequest(IHttpTraceContext *pHttpTraceContext, ULONG number) {
    pHttpTraceContext->QuickTrace(W("begin"), W("/caf\u00e9"));
    if (REWRITE_DONE::IsEnabled(pHttpTraceContext)) {
        REWRITE_DONE::RaiseEvent(pHttpTraceContext, nullptr, W("to-https"), "GET", number,
                                 number % 2 == 1);
    }
}

} // namespace

/* ---- what a server has --------------------------------------------------------------------- */

int main(int argc, char **argv) try {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s LOG\n", argv[0]);
        return 2;
    }
    etlring::http_server server;
    server.add_provider(PROVIDER, "Example-Rewriter", {{"Rewrite", AREA_REWRITE}});

    etlring::session_options options("iis");
    options.log_file = argv[1];
    options.maximum_buffers = 8;
    etlring::session session(options);

    /* The WWW Server's modules, and the module's own provider. */
    GUID www = {0x3a2a4e84, 0x4c21, 0x4981, {0xae, 0x10, 0x3f, 0xda, 0x0d, 0x9b, 0x0f, 0x83}};
    HTTP_TRACE_CONFIGURATION wanted[] = {{&www, 0xfffe, 4, TRUE}, {&PROVIDER, AREA_REWRITE, 4, TRUE}};
    etlring::http_trace_context whole(server, "main");
    if (FAILED(whole.SetTraceConfiguration(etlring::module_id(session), wanted, 2))) {
        std::fprintf(stderr, "%s\n", etlring_last_message());
        return 1;
    }
    for (ULONG number = 1; number <= 2; number++) {
        const GUID activity = {number, 0, 0, {0x98, 0, 0, 0x80, 0, 0, 0, 0xfa}};
        etlring::http_trace_context request(server, activity, "Rewriter");
        OnBeginRequest(&request, number);
    }
    session.stop();
    std::printf("%llu records\n",
                static_cast<unsigned long long>(session.statistics().events_accepted));
    return 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
