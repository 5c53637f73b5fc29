from .checkpoint import main

main()
