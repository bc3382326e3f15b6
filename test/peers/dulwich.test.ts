import { clientStories, type Client } from './client-stories.ts'
import { pythonClient } from './programs.ts'

clientStories('dulwich', async (): Promise<Client> => await pythonClient('dulwich_client.py', 'dulwich', 'python3-dulwich'))
