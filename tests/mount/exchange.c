/* exchange.c - exchange A B: two names change places, renameat2(2). */
#include <fcntl.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	if (argc == 3 && renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2],
				   RENAME_EXCHANGE) == 0)
		return 0;
	perror("exchange");
	return 1;
}
