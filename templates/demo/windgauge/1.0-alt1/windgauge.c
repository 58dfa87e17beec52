#include <stdio.h>
#include <stdlib.h>
#include <wind.h>

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: windgauge METRES-PER-SECOND\n");
        return 2;
    }
    int force = wind_force(atof(argv[1]));
    printf("force %d, %s\n", force, wind_name(force));
    return 0;
}
