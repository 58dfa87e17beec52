#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wind.h>

int main(int argc, char **argv)
{
    int name_only = argc == 3 && strcmp(argv[1], "--name") == 0;
    if (argc != 2 && !name_only) {
        fprintf(stderr, "usage: windgauge [--name] METRES-PER-SECOND\n");
        return 2;
    }
    int force = wind_force(atof(argv[argc - 1]), WIND_METRES_PER_SECOND);
    if (!name_only)
        printf("force %d, ", force);
    printf("%s\n", wind_name(force));
    return 0;
}
