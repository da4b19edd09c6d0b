/* Loads the library named by the argument and looks for the addon's entry point in it. */
#include <stdio.h>
#include <windows.h>

int main(int argc, char **argv) {
    HMODULE library = argc == 2 ? LoadLibraryA(argv[1]) : NULL;
    if (library == NULL) {
        printf("FAIL load: error %lu\n", GetLastError());
        return 1;
    }
    printf("PASS load\n");
    if (GetProcAddress(library, "mio_websocket_init") == NULL) {
        printf("FAIL entry point: error %lu\n", GetLastError());
        return 1;
    }
    printf("PASS entry point\n");
    /* What a process does with it when it ends must work too. */
    return FreeLibrary(library) ? 0 : 1;
}
